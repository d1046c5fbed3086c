/** Graphs of the builder as ONNX models, with their weights inside or in a file beside the model. */
import { isMap } from '../arrays.js';
import { ModelError, TensorError } from '../errors.js';
import {
  type DeferredTensor,
  type DeferredWeights,
  type Graph,
  ONNX_DTYPE,
  requireGraph,
  type Value,
  type Weights,
} from '../graph/types.js';
import { DEFAULT_OPSET, defaultLowering, requireOpset } from '../lowering/choose.js';
import { lowerGraph } from '../lowering/lower.js';
import type { LoweringName } from '../lowering/types.js';
import { requireKnownOptions } from '../options.js';
import {
  bytesOf,
  bytesPerElement,
  checkedTensor,
  elementCount,
  formatShape,
  type StoredFile,
  tensorBytes,
  type TensorData,
  tensorFromBytes,
} from '../tensor.js';
import { standardizeWeight } from '../graph/standardize.js';
import {
  chunksLength,
  type InitializerMessage,
  joinChunks,
  modelChunks,
  type ModelToWrite,
} from './protobuf/chunks.js';
import type { Chunk } from './protobuf/messages.js';
import { encodeNode } from './graph/operators.js';
import { encodeExternalTensor, encodeTensor } from './protobuf/tensors.js';
import { encodeValueInfo } from './graph/value-info.js';

/** How a graph is written as an ONNX model. */
export interface EncodeOptions {
  /** Opset of the default ONNX domain, 13 to 25. Default 21. */
  readonly opset?: number | undefined;
  /** How GroupNormalization is written. Default: `op` from opset 21 on, else `reduce-mean`. */
  readonly lowering?: LoweringName | undefined;
}

/** protobuf's own limit: lengths are signed 32-bit numbers in its implementations. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * Checks the size of an existing model.
 * @throws ModelError `MODEL_TOO_LARGE` for more bytes than an ONNX file holds.
 */
export function requireModelSize(bytes: number, where: string): void {
  if (bytes <= MAX_MODEL_BYTES) return;
  throw new ModelError(
    'MODEL_TOO_LARGE',
    `${where}: ${bytes} bytes, but an ONNX file holds at most ${MAX_MODEL_BYTES}; ` +
      'move its weights to a file of their own first (onnx.save with save_as_external_data=True)',
  );
}

/** Smaller tensors stay in the model: shape inference has to see shapes and scalars. */
const MIN_EXTERNAL_BYTES = 1024;

/** The size of a page, so that a runtime can map each tensor. */
const EXTERNAL_ALIGNMENT = 4096;

/**
 * Encodes a graph and its weights as an ONNX model.
 * @returns The bytes of a ModelProto with the lowest IR version that the opset needs.
 * @throws GraphError if `graph` is not a Graph, or the opset or lowering is not available; OptionError; ModelError
 *   `WEIGHTS_NOT_SET`, `TENSOR_INVALID`, or `MODEL_TOO_LARGE` (above 2 GiB: write it with `encodeModelExternal`).
 */
export const encodeModel = (graph: Graph, weights: Weights, options: EncodeOptions = {}): Uint8Array =>
  inMemory(modelFile(graph, weights, options));

/** Returns the file of a model in chunks, to be written one after the other, without a copy of the weights. */
export function modelFile(graph: Graph, weights: DeferredWeights, options: EncodeOptions = {}): Chunk[] {
  const initializers = collectWeights(graph, weights).map(initializerOf);
  const chunks = modelChunks(toModel(graph, initializers, options));
  const bytes = chunksLength(chunks);
  if (bytes > MAX_MODEL_BYTES) throw tooLarge(graph, bytes);
  return chunks;
}

/** A model whose weights lie in a second file, `location`, in the model's folder. */
export interface ExternalModel {
  /** The bytes of a ModelProto, for the `.onnx` file. */
  readonly model: Uint8Array;
  /** The name of the second file. */
  readonly location: string;
  /** The second file's content, in order: views of the weights and padding. */
  readonly data: Uint8Array[];
}

/**
 * Encodes a graph with its weights as ONNX external data, which has no size limit.
 * @param location File name of the data, relative to the model's folder.
 */
export function encodeModelExternal(
  graph: Graph,
  weights: Weights,
  location: string,
  options: EncodeOptions = {},
): ExternalModel {
  const { model, data } = externalModelFiles(graph, weights, location, options);
  return { model: inMemory(model), location, data: data as Uint8Array[] };
}

/** The two files of a model with external data. */
interface ExternalModelFiles {
  readonly model: Chunk[];
  /** The file that the data begins with a copy of, if there is one. */
  readonly copyOf: StoredFile | undefined;
  /** The data, or the rest of it behind the copy. */
  readonly data: Chunk[];
}

/**
 * Returns the two files of a model with external data in chunks. If the weights are nearly all of a file, as with a
 * checkpoint whose dtype stays, the data begins with a copy of that file: the system copies a file in half the time that
 * reading and writing it takes.
 */
export function externalModelFiles(
  graph: Graph,
  weights: DeferredWeights,
  location: string,
  options: EncodeOptions = {},
): ExternalModelFiles {
  const collected = collectWeights(graph, weights);
  const copyOf = fileToCopy(collected);
  const data: Chunk[] = [];
  let offset = copyOf?.size ?? 0;
  const append = (chunk: Chunk) => {
    data.push(chunk);
    offset += chunk.byteLength;
  };
  const initializers = collected.map((weight) => {
    const { name, dtype, dims, content } = weight;
    const length = content.byteLength;
    if (length < MIN_EXTERNAL_BYTES) return initializerOf(weight);
    const place = placeOf(weight);
    if (place && place.file === copyOf) {
      return encodeExternalTensor(name, { dtype, dims }, { location, offset: place.offset, length });
    }
    append(new Uint8Array((EXTERNAL_ALIGNMENT - (offset % EXTERNAL_ALIGNMENT)) % EXTERNAL_ALIGNMENT));
    const message = encodeExternalTensor(name, { dtype, dims }, { location, offset, length });
    append(content);
    return message;
  });
  return { model: modelChunks(toModel(graph, initializers, options)), copyOf, data };
}

/** The part of a file that must be weights of the model: the copy has the rest too, such as the header of a checkpoint. */
const MIN_USED = 0.99;

/** Returns the largest file that the weights are nearly all of; `undefined` if no file is. */
function fileToCopy(weights: readonly Weight[]): StoredFile | undefined {
  const used = new Map<StoredFile, number>();
  for (const weight of weights) {
    const file = placeOf(weight)?.file;
    if (file) used.set(file, (used.get(file) ?? 0) + weight.content.byteLength);
  }
  const [largest] = [...used]
    .filter(([{ size }, bytes]) => bytes >= MIN_USED * size)
    .sort(([a], [b]) => b.size - a.size);
  return largest?.[0];
}

/** Returns where a weight lies in a file that can be copied, if its elements are aligned there. */
function placeOf({
  dtype,
  content,
}: Weight): { readonly file: StoredFile; readonly offset: number } | undefined {
  const place = 'stored' in content ? content.stored?.within : undefined;
  return place && place.offset % bytesPerElement(dtype) === 0 ? place : undefined;
}

/** Joins the chunks of a model all of whose weights are in memory. */
const inMemory = (chunks: readonly Chunk[]): Uint8Array => joinChunks(chunks as readonly Uint8Array[]);

/** Returns the lowest IR version for an opset. Source: ONNX's table of versions. */
export function irVersionFor(opset: number): number {
  const [, version] = IR_VERSIONS.findLast(([since]) => opset >= since)!;
  return version;
}

const IR_VERSIONS: readonly (readonly [since: number, version: number])[] = [
  [0, 7],
  [15, 8],
  [19, 9],
  [21, 10],
  [23, 11],
  [24, 12],
  [25, 13],
];

function toModel(graph: Graph, weights: readonly InitializerMessage[], options: EncodeOptions): ModelToWrite {
  requireKnownOptions('encodeModel', options, ['opset', 'lowering'] satisfies (keyof EncodeOptions)[]);
  const { opset = DEFAULT_OPSET } = options;
  requireOpset(opset);
  const lowered = lowerGraph(graph, options.lowering ?? defaultLowering(opset), opset);
  const nodes = lowered.nodes.map((node) => encodeNode(node, opset));
  const declared = new Set([...lowered.inputs, ...lowered.outputs].map((value) => value.name));
  const intermediates = lowered.nodes
    .flatMap((node) => node.outputs)
    .filter(({ name }) => !declared.has(name));
  return {
    irVersion: irVersionFor(opset),
    producerName: 'onnx-groupnorm',
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      name: graph.name,
      node: nodes.map(({ node }) => node),
      initializer: [
        ...weights,
        ...lowered.constants.map((constant) => encodeTensor(constant.name, constant.data!)),
        ...nodes.flatMap(({ initializers }) => initializers),
      ],
      input: lowered.inputs.map(encodeValueInfo),
      output: lowered.outputs.map(encodeValueInfo),
      valueInfo: intermediates.map(encodeValueInfo),
    },
  };
}

/** A weight as the model holds it. */
interface Weight extends Pick<TensorData, 'dtype' | 'dims'> {
  readonly name: string;
  readonly content: Chunk;
}

function collectWeights(graph: Graph, weights: DeferredWeights): Weight[] {
  requireGraph('encodeModel', graph);
  requireWeights(graph, weights);
  return graph.parameters.map((parameter) => {
    const weight = requireFit(parameter, weights.get(parameter.name)!);
    const { dtype, dims } = weight;
    return { name: parameter.name, dtype, dims, content: contentOf(parameter, weight) };
  });
}

function contentOf({ standardizeEps }: Value, weight: TensorData | DeferredTensor): Chunk {
  if (!isDeferred(weight)) {
    return tensorBytes(standardizeEps === undefined ? weight : standardizeWeight(weight, standardizeEps));
  }
  const { dtype, dims, read, stored } = weight;
  const byteLength = elementCount(dims) * bytesPerElement(dtype);
  return standardizeEps === undefined
    ? { byteLength, read, stored }
    : { byteLength, read: () => standardized(weight, standardizeEps) };
}

const isDeferred = (weight: TensorData | DeferredTensor): weight is DeferredTensor =>
  typeof (weight as Partial<DeferredTensor> | undefined)?.read === 'function';

/** Reads a tensor whole and standardises it. */
async function* standardized({ dtype, dims, read }: DeferredTensor, eps: number): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of read()) pieces.push(await bytesOf(piece));
  yield tensorBytes(standardizeWeight(tensorFromBytes(dtype, dims, joinChunks(pieces)), eps));
}

const initializerOf = ({ name, dtype, dims, content }: Weight): InitializerMessage => ({
  name,
  dims: [...dims],
  dataType: ONNX_DTYPE[dtype],
  rawData: content,
});

function requireWeights({ name: graph, parameters }: Graph, weights: DeferredWeights): void {
  const isWeights = isMap(weights);
  const missing = parameters.filter(({ name }) => !isWeights || weights.get(name) === undefined);
  if (isWeights && missing.length === 0) return;
  const names = missing.map(({ name }) => `'${name}'`).join(', ') || 'any parameter';
  throw new ModelError(
    'WEIGHTS_NOT_SET',
    `graph '${graph}': ${isWeights ? '' : 'the weights must be a Map of tensors by name; there is '}` +
      `no data for ${names}; load a state_dict, or initialise the parameters`,
  );
}

function requireFit(parameter: Value, given: TensorData | DeferredTensor): TensorData | DeferredTensor {
  const data = isDeferred(given) ? given : checkedWeight(parameter, given);
  if (data.dtype === parameter.dtype && formatShape(data.dims) === formatShape(parameter.shape)) return data;
  throw new ModelError(
    'TENSOR_INVALID',
    `parameter '${parameter.name}' is ${parameter.dtype} ${formatShape(parameter.shape)}, ` +
      `but its data is ${data.dtype} ${formatShape(data.dims)}`,
  );
}

function checkedWeight({ name }: Value, data: TensorData): TensorData {
  try {
    return checkedTensor(data);
  } catch (cause) {
    if (!(cause instanceof TensorError)) throw cause;
    throw new ModelError('TENSOR_INVALID', `parameter '${name}': ${cause.message}`, { cause });
  }
}

const tooLarge = (graph: Graph, bytes: number): ModelError =>
  new ModelError(
    'MODEL_TOO_LARGE',
    `graph '${graph.name}' makes a model of ${bytes} bytes, but an ONNX file holds at most ${MAX_MODEL_BYTES}; ` +
      'write its weights as external data (encodeModelExternal; writeModel with externalData)',
    { option: 'externalData' },
  );

/**
 * Checks, before there are weights, that the parameters fit into one file.
 * @throws ModelError `MODEL_TOO_LARGE`
 */
export function requireParametersFit(graph: Graph): void {
  if (!parametersFit(graph)) throw tooLarge(graph, parameterBytes(graph));
}

/** Returns whether the parameters of a graph fit into one file. */
export const parametersFit = (graph: Graph): boolean => parameterBytes(graph) <= MAX_MODEL_BYTES;

/** Returns the size of a graph's parameters in bytes. */
export const parameterBytes = ({ parameters }: Graph): number =>
  parameters.reduce(
    (sum, { dtype, shape }) => sum + elementCount(shape as number[]) * bytesPerElement(dtype),
    0,
  );
