/** Models whose initializers are inputs too, as PyTorch writes them with `keep_initializers_as_inputs`. */
import * as ort from 'onnxruntime-node';
import { type ModelMessage, ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { tensor, type TensorData } from '../../lib/tensor.js';

type Initializer = NonNullable<NonNullable<ModelMessage['graph']>['initializer']>[number];

interface Listing {
  /** Default 10. */
  readonly irVersion?: number;
  /** Which initializers to list. Default: all. */
  readonly isInput?: (initializer: Initializer) => boolean;
  /** The name of the dimension of vectors. Default: their size. */
  readonly vectorDim?: string;
}

/** Lists initializers of a model as inputs. */
export function withInitializersAsInputs(
  model: Uint8Array,
  { irVersion = 10, isInput = () => true, vectorDim }: Listing = {},
): Uint8Array {
  const message = ModelProto.decode(model);
  message.irVersion = irVersion;
  const { initializer = [], input = [] } = message.graph!;
  for (const { name, dataType, dims } of initializer!.filter(isInput)) {
    const isNamed = vectorDim !== undefined && dims!.length === 1 && dataType === FLOAT;
    const dim = isNamed ? [{ dimParam: vectorDim }] : dims!.map(Number).map((dimValue) => ({ dimValue }));
    input!.push({ name: name!, type: { tensorType: { elemType: dataType!, shape: { dim } } } });
  }
  message.graph!.input = input;
  return ModelProto.encode(message).finish();
}

/** ONNX's number of float32. */
const FLOAT = 1;

/**
 * Runs a float32 model in onnxruntime-node, without this library. onnxruntime-node takes no values for optional inputs, so
 * the initializers of all inputs that are fed are removed first.
 */
export async function runWithInputs(
  model: Uint8Array,
  feeds: Readonly<Record<string, TensorData>>,
): Promise<TensorData> {
  const message = ModelProto.decode(model);
  message.graph!.initializer = message.graph!.initializer!.filter(({ name }) => !(name! in feeds));
  const session = await ort.InferenceSession.create(ModelProto.encode(message).finish(), {
    logSeverityLevel: 3,
  });
  try {
    const given = Object.entries(feeds).map(([name, { dtype, data, dims }]) => [
      name,
      new ort.Tensor(dtype as 'float32', data as Float32Array, dims),
    ]);
    const { y } = await session.run(Object.fromEntries(given) as Record<string, ort.Tensor>);
    return tensor('float32', y!.dims, y!.data as Float32Array);
  } finally {
    await session.release();
  }
}
