import { expect } from 'chai';
import { describe, it } from 'mocha';
import { joinChunks, textField } from '../../../lib/onnx/protobuf/chunks.js';
import {
  GraphDecoder,
  type GraphField,
  GraphFields,
  type InnerFacts,
  noFacts,
  takenNames,
} from '../../../lib/onnx/graph/graph.js';
import { WireReader } from '../../../lib/onnx/protobuf/wire.js';
import { all, message, text } from '../bytes.js';

type Field = readonly number[];

const NODE = 1 * 8 + 2;
const node = (opType: string, ...fields: Field[]): Field => message(1, text(4, opType), ...fields);
const graphOf = (bytes: Uint8Array) => new GraphFields(WireReader.of(bytes), 'model');
const opTypes = (graph: GraphFields): string[] => [...graph].flatMap((field) => field.node?.opType ?? []);

describe('GraphFields', () => {
  const sample = () => graphOf(all(node('A'), message(12, text(1, 'y')), node('B')));

  it('GraphFields lists the fields in order, with those that were put in', () => {
    const graph = sample();
    const encoded = (opType: string) => Uint8Array.from(text(4, opType));
    graph.prepend(NODE, [encoded('P'), encoded('Q')]);
    graph.append(NODE, [encoded('Z')]);
    graph.splice((field) => {
      if (field.node?.opType !== 'B') return undefined;
      return [Uint8Array.from(node('C')), Uint8Array.from(node('D'))];
    });
    expect(opTypes(graph)).to.deep.equal(['P', 'Q', 'A', 'C', 'D', 'Z']);
    const expected = all(
      ...['P', 'Q', 'A'].map((opType) => node(opType)),
      message(12, text(1, 'y')),
      ...['C', 'D', 'Z'].map((opType) => node(opType)),
    );
    expect([...joinChunks(graph.chunks)]).to.deep.equal([...expected]);
  });

  it('GraphFields replaces fields that are replacements themselves', () => {
    const graph = sample();
    for (let pass = 0; pass < 3; pass++) {
      graph.splice((field) => field.node && [Uint8Array.from(node(`${field.node.opType}!`))]);
    }
    expect(opTypes(graph)).to.deep.equal(['A!!!', 'B!!!']);
  });

  it('GraphFields replaces fields after others were removed', () => {
    const graph = sample();
    graph.splice((field) => (field.node?.opType === 'A' ? [] : undefined));
    graph.splice((field) => field.node && [Uint8Array.from(node('C'))]);
    expect(opTypes(graph)).to.deep.equal(['C']);
  });

  it('GraphFields keeps fields that do not change as views of the bytes that were read, and decodes them once', () => {
    const bytes = all(text(2, 'a'), node('A'), message(5, text(8, 'w')));
    const graph = graphOf(bytes);
    const [, before] = graph;
    graph.splice((field) => (field.tag === 2 * 8 + 2 ? textField(field.tag, 'b') : undefined));
    expect(graph.chunks.at(-1)!.buffer).to.equal(bytes.buffer);
    expect([...graph][1]).to.equal(before);
  });
});

describe('takenNames', () => {
  const fields: [what: string, field: Field, taken: string[]][] = [
    ['a node', message(1, text(1, 'x'), text(2, 'y'), text(2, ''), text(3, 'n')), ['n', 'y']],
    ['an input', message(11, text(1, 'x')), ['x']],
    ['an output', message(12, text(1, 'y')), ['y']],
    ['a declared type', message(13, text(1, 'h')), ['h']],
    ['a tensor', message(5, text(12, 'text'), text(8, 'w')), ['w']],
    ['a sparse tensor', message(15, message(1, text(8, 's'))), ['s']],
    ['the name of the graph', text(2, 'g'), []],
  ];
  for (const [what, field, taken] of fields) {
    it(`takenNames returns every name in ${what}`, () => {
      expect([...takenNames(graphOf(all(field)))]).to.deep.equal(taken);
    });
  }
});

describe('GraphDecoder', () => {
  const attributes = (...bodies: Field[][]): Field[] =>
    bodies.map((body, index) => message(5, message(index === 0 ? 6 : 11, ...body)));
  const read = (bytes: Uint8Array): GraphField[] => new GraphDecoder().readFields(WireReader.of(bytes));

  it('GraphDecoder reads every body of a node, however deep, into the facts of that node', () => {
    const inner = node('B', text(2, 'b'), ...attributes([node('C', text(3, 'c'))]));
    const field = message(1, text(4, 'A'), ...attributes([inner], [node('D', text(2, 'd'))]));
    const [outer] = read(all(field));
    expect(outer!.node!.opType).to.equal('A');
    expect([...outer!.inner!.opTypes].sort()).to.deep.equal(['B', 'C', 'D']);
    expect([...outer!.inner!.names].sort()).to.deep.equal(['b', 'c', 'd']);
  });

  it('GraphDecoder reads the nodes of a function, their bodies, and the graphs that its attributes have by default', () => {
    const inNode = message(7, text(4, 'A'), ...attributes([node('B')]));
    const byDefault = message(11, message(6, node('C', text(2, 'own'))));
    const facts: InnerFacts = noFacts();
    new GraphDecoder().readFunction(WireReader.of(all(inNode, byDefault)), facts);
    expect([...facts.opTypes].sort()).to.deep.equal(['A', 'B', 'C']);
    expect([...facts.names]).to.deep.equal([]);
  });
});
