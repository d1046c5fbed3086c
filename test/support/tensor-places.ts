/** A model for each place where ONNX has a tensor, field by field: numbers are those of onnx.proto. */
import { all, int, message, text } from '../onnx/bytes.js';

type Field = readonly number[];

/** Writes a TensorProto into a field. */
type TensorIn = (field: number) => Field;

/** The numbers of ONNX's attribute types. */
const [TENSOR, GRAPH, TENSORS, GRAPHS, SPARSE_TENSOR, SPARSE_TENSORS] = [4, 5, 9, 10, 11, 12];

const attribute = (field: number, name: string, type: number, ...content: Field[]): Field =>
  message(field, text(1, name), int(20, type), ...content);

/** Two elements of a tensor of four, at 1 and 3. */
const held = (field: number, dtype: number, data: number[]): Field =>
  message(field, int(1, 2), int(2, dtype), text(8, 'w'), message(9, data));
const VALUES = held(1, 1, [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
const INDICES = held(2, 7, [1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);

const sparse =
  (values: Field, indices: Field): TensorIn =>
  (field) =>
    message(field, values, indices, int(3, 4));
const sparseOf = (tensor: TensorIn) => ({
  'the values of': sparse(tensor(1), INDICES),
  'the indices of': sparse(VALUES, tensor(2)),
});

/** The places of a dense tensor in an attribute, as fields of AttributeProto. */
const inAttributes = (tensor: TensorIn): Record<string, readonly [type: number, Field]> => ({
  t: [TENSOR, tensor(5)],
  tensors: [TENSORS, tensor(10)],
  ...Object.fromEntries(
    Object.entries(sparseOf(tensor)).flatMap(([part, value]) => [
      [`${part} sparse_tensor`, [SPARSE_TENSOR, value(22)] as const],
      [`${part} sparse_tensors`, [SPARSE_TENSORS, value(23)] as const],
    ]),
  ),
});

const node = (field: number, ...attributes: Field[]): Field =>
  message(field, text(2, 'y'), text(4, 'Constant'), ...attributes);

/** The places of a tensor in a GraphProto. */
const inGraphs = (tensor: TensorIn): Record<string, Field> => ({
  initializer: tensor(5),
  ...Object.fromEntries(
    Object.entries(sparseOf(tensor)).map(([part, value]) => [`${part} sparse_initializer`, value(15)]),
  ),
  ...Object.fromEntries(
    Object.entries(inAttributes(tensor)).map(([name, [type, field]]) => [
      `an attribute's ${name}`,
      node(1, attribute(5, 'value', type, field)),
    ]),
  ),
});

const model = (graph: readonly Field[], ...rest: Field[]): Uint8Array =>
  all(int(1, 10), message(7, ...graph), message(8, int(2, 21)), ...rest);

/**
 * Returns a model for each place that ONNX has for a tensor, with the tensor there.
 * @param tensor Writes the tensor into a field.
 */
export function modelsWithTensor(tensor: TensorIn): Record<string, Uint8Array> {
  const models: [place: string, model: Uint8Array][] = [];
  for (const [place, content] of Object.entries(inGraphs(tensor))) {
    const body = message(6, content);
    models.push(
      [place, model([content])],
      [`${place}, in a body`, model([node(1, attribute(5, 'body', GRAPH, body))])],
      [
        `${place}, in a list of bodies`,
        model([node(1, attribute(5, 'bodies', GRAPHS, message(11, content)))]),
      ],
      [`${place}, in the initialization of training_info`, model([], message(20, message(1, content)))],
      [`${place}, in the algorithm of training_info`, model([], message(20, message(2, content)))],
    );
  }
  for (const [place, [type, field]] of Object.entries(inAttributes(tensor))) {
    const inNode = node(7, attribute(5, 'value', type, field));
    models.push(
      [`${place} of an attribute in a function`, model([], message(25, text(1, 'F'), inNode))],
      [
        `${place} of an attribute's default in a function`,
        model([], message(25, text(1, 'F'), attribute(11, 'value', type, field))),
      ],
    );
  }
  return Object.fromEntries(models);
}

/** A TensorProto of four float32 whose data lies in a file. */
export const externalTensor =
  (location: string, ...more: Field[]): TensorIn =>
  (field) =>
    message(
      field,
      int(1, 4),
      int(2, 1),
      text(8, 'w'),
      message(13, text(1, 'location'), text(2, location)),
      int(14, 1),
      ...more,
    );
