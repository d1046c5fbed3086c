/** Triton's `config.pbtxt` for a model that its ONNX Runtime backend runs. */
import type { TensorInfo } from '../runtime/core/contract.js';
import { dimNames } from '../runtime/core/tensors.js';
import type { DType, Shape } from '../tensor.js';

/** Where Triton runs a model: `auto` is a GPU where the server has one, and the CPU elsewhere. */
export const TRITON_DEVICES = ['auto', 'cpu', 'gpu'] as const;

/** What a configuration says of a model. */
export interface TritonModel {
  /** The name of the model, and of its folder. */
  readonly name: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** The most samples of a batch; 0 for a model that does not take batches. Then Triton passes requests on as they are. */
  readonly maxBatchSize: number;
  /** Milliseconds that a request may wait for others. */
  readonly maxQueueDelay: number;
  /** How many requests or batches run at once on each device. */
  readonly instances: number;
  readonly device: (typeof TRITON_DEVICES)[number];
  /** Names the file of labels, and the output whose classes they name. */
  readonly labels?: { readonly file: string; readonly output: string } | undefined;
  /** Whether ONNX Runtime may optimize the graph. */
  readonly isOptimized: boolean;
}

/**
 * Returns the text of `config.pbtxt`. Follows `model_config.proto` of Triton's common repository, and its documents
 * `model_configuration.md` and onnxruntime_backend's README.
 */
export function tritonConfig(model: TritonModel): string {
  const { name, inputs, outputs, maxBatchSize, maxQueueDelay, instances, device, labels, isOptimized } =
    model;
  const describe = (info: TensorInfo): string =>
    block([
      `name: ${quote(info.name)}`,
      `data_type: ${dataTypeOf(info)}`,
      ...dimsOf(info.shape!, maxBatchSize > 0),
      ...(labels?.output === info.name ? [`label_filename: ${quote(labels.file)}`] : []),
    ]);
  const list = (field: string, infos: readonly TensorInfo[]): string =>
    `${field} [\n${infos.map(describe).join(',\n')}\n]`;
  return `${[
    `name: ${quote(name)}`,
    'backend: "onnxruntime"',
    `max_batch_size: ${maxBatchSize}`,
    list('input', inputs),
    list('output', outputs),
    ...(maxBatchSize > 0 ? [batchingOf(maxQueueDelay)] : []),
    `instance_group [\n${block([`count: ${instances}`, `kind: KIND_${device.toUpperCase()}`])}\n]`,
    ...(isOptimized ? [] : [NOT_OPTIMIZED]),
  ].join('\n')}\n`;
}

const batchingOf = (maxQueueDelay: number): string =>
  maxQueueDelay > 0
    ? `dynamic_batching {\n  max_queue_delay_microseconds: ${Math.round(maxQueueDelay * 1000)}\n}`
    : 'dynamic_batching { }';

const NOT_OPTIMIZED = `# This model has a Pad and a pool. ONNX Runtime up to 1.30 folds the one into the other, which changes the results
# (Pad_Fusion), so that its optimizations are off: 2 is ORT_DISABLE_ALL. Remove this where ONNX Runtime is newer.
optimization {
  graph {
    level: 2
  }
}`;

const block = (lines: readonly string[]): string =>
  `  {\n${lines.map((line) => `    ${line}`).join('\n')}\n  }`;

/** Without the batch, if there is one. Triton refuses empty dims: `reshape` then gives the model its own. */
function dimsOf(shape: Shape, isBatched: boolean): string[] {
  const own = isBatched ? shape.slice(1) : shape;
  if (own.length === 0) return ['dims: [ 1 ]', 'reshape { shape: [ ] }'];
  return [`dims: [ ${own.map((dim) => (typeof dim === 'number' ? dim : -1)).join(', ')} ]`];
}

const DATA_TYPES: Readonly<Record<DType | 'string', string>> = {
  float32: 'TYPE_FP32',
  float64: 'TYPE_FP64',
  float16: 'TYPE_FP16',
  bfloat16: 'TYPE_BF16',
  int8: 'TYPE_INT8',
  uint8: 'TYPE_UINT8',
  int16: 'TYPE_INT16',
  uint16: 'TYPE_UINT16',
  int32: 'TYPE_INT32',
  uint32: 'TYPE_UINT32',
  int64: 'TYPE_INT64',
  uint64: 'TYPE_UINT64',
  bool: 'TYPE_BOOL',
  string: 'TYPE_STRING',
};

const dataTypeOf = ({ dtype }: TensorInfo): string => DATA_TYPES[dtype!];

/** Returns a string of protobuf's text format: in quotes, with octal escapes for control characters. */
const quote = (text: string): string =>
  `"${text.replace(/["\\\u0000-\u001f\u007f]/g, (char) =>
    char === '"' || char === '\\' ? `\\${char}` : `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )}"`;

/** What the README of an exported model says. */
export interface TritonReadme {
  readonly config: TritonModel;
  /** The sizes to send for dimensions that the model leaves open, by name as `openSizes` returns them. */
  readonly sizes: ReadonlyMap<string, number>;
  /** What was converted, and how the batch size was chosen. */
  readonly notes: readonly string[];
}

/** The Triton that the README names: any later one does as well. */
const TRITON_IMAGE = 'nvcr.io/nvidia/tritonserver:25.03-py3';

/** Returns a README of three commands: start Triton, ask whether the model is ready, send a request. */
export function tritonReadme({ config, sizes, notes }: TritonReadme): string {
  const { name, inputs } = config;
  const samples = inputs.map((info) => {
    const names = dimNames(info);
    // One sample, also where Triton joins no requests.
    const dims = info.shape!.map((dim, axis) =>
      typeof dim === 'number' ? dim : axis === 0 ? 1 : sizes.get(names[axis]!)!,
    );
    return [info.name, dims, dataTypeOf(info).replace('TYPE_', '').replace('STRING', 'BYTES')] as const;
  });
  const isBrainFloat = samples.some(([, , type]) => type === 'BF16');
  const python = [
    'import numpy as np, tritonclient.http as http',
    'client = http.InferenceServerClient("localhost:8000")',
    'inputs = []',
    ...samples.flatMap(([input, dims, type]) => [
      `inputs.append(http.InferInput(${JSON.stringify(input)}, ${JSON.stringify(dims)}, "${type}"))`,
      `inputs[-1].set_data_from_numpy(np.zeros(${JSON.stringify(dims)}, ${numpyDtypeOf(type)}))`,
    ]),
    `print(client.infer(${JSON.stringify(name)}, inputs).get_response())`,
  ];
  return `# ${name}

An ONNX model in a Triton model repository. The folder above this one is the repository.

${notes.map((note) => `- ${note}`).join('\n')}

Start Triton in the repository (\`--gpus all\` for GPUs):

\`\`\`sh
docker run --rm -p 8000:8000 -v "$PWD:/models" ${TRITON_IMAGE} tritonserver --model-repository=/models
\`\`\`

Ask whether the model is ready:

\`\`\`sh
curl -f ${shellQuote(`localhost:8000/v2/models/${name}/ready`)}
\`\`\`

Send a request (\`pip install "tritonclient[http]"\`)${isBrainFloat ? ', whose bfloat16 tensors are float32 in NumPy' : ''}:

\`\`\`sh
python - <<'PYTHON'
${python.join('\n')}
PYTHON
\`\`\`
`;
}

const NUMPY: Readonly<Record<string, string>> = {
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  // tritonclient takes float32 for BF16, and shortens it.
  BF16: 'float32',
  BOOL: 'bool_',
  BYTES: 'object_',
};

const numpyDtypeOf = (type: string): string => `np.${NUMPY[type] ?? type.toLowerCase()}`;

const shellQuote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
