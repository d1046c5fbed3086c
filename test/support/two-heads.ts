/** A model with several outputs, one of which shows whether a run has computed it. */
import { ATTRIBUTE_TYPE, ModelProto, TensorProto } from '../../lib/onnx/protobuf/proto.js';
import { tensor } from '../../lib/tensor.js';

const { FLOAT, INT64, BOOL } = TensorProto.DataType;
const type = (elemType: number, ...dims: number[]) => ({
  tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
});
const value = (name: string, elemType: number, ...dims: number[]) => ({
  name,
  type: type(elemType, ...dims),
});
const float = (name: string, data: number) => ({ name, dataType: FLOAT, dims: [1], floatData: [data] });

/**
 * From `x` (2): `sum` = x + `one` + 1, `product` = 3 (x + `one`), `call` = −(x + `one`) by a local function, `branch` =
 * x + `one` in the body of an If, and `chosen` = x[`index`], which ONNX Runtime refuses to compute for an index of 2
 * and above. `one` is 1 and an optional input.
 */
export const twoHeads = (): Uint8Array =>
  ModelProto.encode({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'local', version: 1 },
    ],
    functions: [
      {
        name: 'Negate',
        domain: 'local',
        input: ['a'],
        output: ['b'],
        opsetImport: [{ domain: '', version: 17 }],
        node: [{ opType: 'Neg', input: ['a'], output: ['b'] }],
      },
    ],
    graph: {
      name: 'two heads',
      node: [
        { opType: 'Add', input: ['x', 'one'], output: ['trunk'] },
        { opType: 'Add', input: ['trunk', 'other'], output: ['sum'] },
        { opType: 'Mul', input: ['trunk', 'three'], output: ['product'] },
        { opType: 'Negate', domain: 'local', input: ['trunk'], output: ['call'] },
        {
          opType: 'If',
          input: ['yes'],
          output: ['branch'],
          attribute: ['then_branch', 'else_branch'].map((name) => ({
            name,
            type: ATTRIBUTE_TYPE.GRAPH,
            g: {
              name,
              node: [{ opType: 'Identity', input: ['trunk'], output: [`${name}_out`] }],
              output: [value(`${name}_out`, FLOAT, 2)],
            },
          })),
        },
        { opType: 'Gather', input: ['x', 'index'], output: ['chosen'] },
      ],
      initializer: [float('one', 1), float('other', 1), float('three', 3)],
      input: [value('x', FLOAT, 2), value('index', INT64, 1), value('yes', BOOL, 1), value('one', FLOAT, 1)],
      output: [
        ...['sum', 'product', 'call', 'branch'].map((name) => value(name, FLOAT, 2)),
        value('chosen', FLOAT, 1),
      ],
    },
  }).finish();

/** Inputs for which `sum` is [3, 4], `product` [6, 9], `call` [−2, −3], `branch` [2, 3], and `chosen` cannot be computed. */
export const TWO_HEADS_FEEDS = {
  x: tensor('float32', [2], Float32Array.of(1, 2)),
  index: tensor('int64', [1], BigInt64Array.of(5n)),
  yes: tensor('bool', [1], Uint8Array.of(1)),
};
