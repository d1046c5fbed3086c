import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../../lib/errors.js';
import { inlinedNodeCount } from '../../../lib/onnx/graph/function-calls.js';
import { Model } from '../../../lib/onnx/model.js';
import { WireReader } from '../../../lib/onnx/protobuf/wire.js';
import { all, int, message, model, text } from '../bytes.js';

type Field = readonly number[];

const DOMAIN = 'local';
/** A node, in a field of a graph (1) or of a function (7). */
const node = (field: number, opType: string, ...more: Field[]): Field =>
  message(field, text(4, opType), text(7, DOMAIN), ...more);
const func = (name: string, ...nodes: Field[]): Field[] => [text(1, name), text(10, DOMAIN), ...nodes];

const count = (graph: Field[], ...functions: Field[][]): number =>
  inlinedNodeCount(
    WireReader.of(all(...graph)),
    functions.map((fields) => WireReader.of(all(...fields))),
  );

describe('inlinedNodeCount', () => {
  const inner = func('inner', node(7, 'Abs'), node(7, 'Neg'), node(7, 'Exp'));
  const outer = func('outer', node(7, 'inner'), node(7, 'inner'));

  it('inlinedNodeCount counts the nodes of each call, and of the calls within', () => {
    expect(count([node(1, 'Abs')], inner, outer)).to.equal(0);
    expect(count([node(1, 'inner')], inner, outer)).to.equal(3);
    expect(count([node(1, 'outer'), node(1, 'inner'), node(1, 'outer')], inner, outer)).to.equal(8 + 3 + 8);
  });

  it('inlinedNodeCount counts calls in the bodies of control flow', () => {
    const branches = message(5, message(6, node(1, 'inner'), node(1, 'Abs')));
    expect(count([node(1, 'If', branches)], inner)).to.equal(3);
    expect(count([node(1, 'f')], func('f', node(7, 'If', branches)), inner)).to.equal(3 + 3);
  });

  it('inlinedNodeCount tells functions of one name apart by their overload', () => {
    const overloaded = [...func('f', node(7, 'f')), text(13, 'long')];
    expect(count([node(1, 'f', text(8, 'long'))], overloaded, func('f', node(7, 'Abs')))).to.equal(2);
  });

  it('inlinedNodeCount refuses functions that call each other in a circle', () => {
    const circle = [func('f', node(7, 'g')), func('g', node(7, 'f'))];
    expect(() => count([], ...circle))
      .to.throw(ModelError, 'calls itself')
      .with.property('code', 'MODEL_INVALID');
  });

  it('Model.decode takes functions that call many others, and refuses functions that make too many nodes', () => {
    const functions = (calls: number) => [
      message(25, ...func('f', ...Array.from({ length: calls }, () => node(7, 'g')))),
      message(25, ...func('g', ...Array.from({ length: 1000 }, () => node(7, 'Abs')))),
    ];
    const decode = (calls: number) =>
      Model.decode(Uint8Array.from([...model(node(1, 'f')), ...functions(calls).flat(), ...int(1, 10)]));
    expect(decode(20).nodes).to.have.lengthOf(1);
    expect(() => decode(200))
      .to.throw(ModelError, 'inlined')
      .with.property('code', 'LIMIT_EXCEEDED');
  });
});
