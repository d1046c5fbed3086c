/** A classifier as scikit-learn's exporter writes it: a tensor, labels as texts, a map for each row, and a sequence. */
import { ATTRIBUTE_TYPE, ModelProto, TensorProto } from '../../lib/onnx/protobuf/proto.js';

const { FLOAT, INT64, STRING } = TensorProto.DataType;
export const LABELS = ['cat', 'dog', 'Übung'];

const bytes = (text: string) => new TextEncoder().encode(text);
const tensorType = (elemType: number, ...dims: (number | string)[]) => ({
  tensorType: {
    elemType,
    shape: { dim: dims.map((dim) => (typeof dim === 'string' ? { dimParam: dim } : { dimValue: dim })) },
  },
});
const ints = (name: string, ...values: number[]) => ({
  name,
  type: ATTRIBUTE_TYPE.INTS,
  ints: values,
});
const strings = (name: string, values: string[]) => ({
  name,
  type: ATTRIBUTE_TYPE.STRINGS,
  strings: values.map(bytes),
});

/** From `x` (N, 3): `probabilities` (N, 3), `label` (N), `maps` and `parts`, which are not tensors. */
export const classifier = (): Uint8Array =>
  ModelProto.encode({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'ai.onnx.ml', version: 3 },
    ],
    graph: {
      name: 'classifier',
      node: [
        { opType: 'Softmax', input: ['x'], output: ['probabilities'] },
        {
          opType: 'ArgMax',
          input: ['x'],
          output: ['index'],
          attribute: [
            { name: 'keepdims', type: ATTRIBUTE_TYPE.INT, i: 0 },
            { name: 'axis', type: ATTRIBUTE_TYPE.INT, i: 1 },
          ],
        },
        {
          opType: 'LabelEncoder',
          domain: 'ai.onnx.ml',
          input: ['index'],
          output: ['label'],
          attribute: [ints('keys_int64s', 0, 1, 2), strings('values_strings', LABELS)],
        },
        {
          opType: 'ZipMap',
          domain: 'ai.onnx.ml',
          input: ['probabilities'],
          output: ['maps'],
          attribute: [strings('classlabels_strings', LABELS)],
        },
        { opType: 'SequenceConstruct', input: ['x', 'x'], output: ['parts'] },
      ],
      input: [{ name: 'x', type: tensorType(FLOAT, 'N', 3) }],
      output: [
        { name: 'probabilities', type: tensorType(FLOAT, 'N', 3) },
        { name: 'label', type: tensorType(STRING, 'N') },
        {
          name: 'maps',
          type: {
            sequenceType: { elemType: { mapType: { keyType: STRING, valueType: tensorType(FLOAT) } } },
          },
        },
        { name: 'parts', type: { sequenceType: { elemType: tensorType(FLOAT, 'N', 3) } } },
      ],
    },
  }).finish();

/** From the texts `words` (N): `twice`, the list followed by itself, and `count`, N. */
export const repeater = (): Uint8Array =>
  ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'repeater',
      node: [
        {
          opType: 'Concat',
          input: ['words', 'words'],
          output: ['twice'],
          attribute: [{ name: 'axis', type: ATTRIBUTE_TYPE.INT, i: 0 }],
        },
        { opType: 'Shape', input: ['words'], output: ['count'] },
      ],
      input: [{ name: 'words', type: tensorType(STRING, 'N') }],
      output: [
        { name: 'twice', type: tensorType(STRING, 'M') },
        { name: 'count', type: tensorType(INT64, 1) },
      ],
    },
  }).finish();
