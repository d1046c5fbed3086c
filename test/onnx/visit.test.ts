import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { type Visit, visitFunction, visitGraph } from '../../lib/onnx/graph-walk.js';
import { WireReader } from '../../lib/onnx/wire.js';
import { all, message, text } from './bytes.js';

type Field = readonly number[];

const [NAME, NODE, FUNCTION_NODE] = [2 * 8 + 2, 1 * 8 + 2, 7 * 8 + 2];
const graph = (name: string, ...bodies: Field[][]): Field[] => [
  text(2, name),
  message(1, ...bodies.map((body, index) => message(5, message(index === 0 ? 6 : 11, ...body)))),
];

function recorder(): { seen: [string | number, boolean][]; visit: Visit } {
  const seen: [string | number, boolean][] = [];
  const visit: Visit = (field, isNested) =>
    seen.push([field.tag === NAME ? field.text() : field.tag, isNested]);
  return { seen, visit };
}

describe('visiting graphs', () => {
  it('comes to every field, those of bodies after the node that they are in', () => {
    const { seen, visit } = recorder();
    visitGraph(WireReader.of(all(...graph('outer', graph('a', graph('b')), graph('c')))), visit);
    expect(seen).to.deep.equal([
      ['outer', false],
      [NODE, false],
      ...['a', 'b', 'c'].flatMap((name) => [
        [name, true],
        [NODE, true],
      ]),
    ]);
  });

  it('comes to the nodes of a function, their bodies, and the graphs that its attributes have by default', () => {
    const { seen, visit } = recorder();
    const body = (name: string) => message(6, ...graph(name));
    const bytes = all(message(7, message(5, body('in a node'))), message(11, body('by default')));
    visitFunction(WireReader.of(bytes), visit, visit);
    expect(seen).to.deep.equal([
      [FUNCTION_NODE, true],
      ['in a node', true],
      [NODE, true],
      ['by default', true],
      [NODE, true],
    ]);
  });

  it('refuses an attribute with two graphs where there is one', () => {
    const attribute = message(5, message(6), message(6));
    expect(() => visitGraph(WireReader.of(all(message(1, attribute))), () => undefined))
      .to.throw(ModelError, "more than one 'graph'")
      .with.property('code', 'MODEL_INVALID');
  });
});
