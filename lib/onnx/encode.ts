/** Graphs of the builder as ONNX models, with their weights inside or in a file beside the model. */
import { isMap } from '../arrays.js';
import { ModelError, TensorError } from '../errors.js';
import { type Graph, requireGraph, type Value, type Weights } from '../graph/types.js';
import { DEFAULT_OPSET, defaultLowering, requireOpset } from '../lowering/choose.js';
import { lowerGraph } from '../lowering/lower.js';
import type { LoweringName } from '../lowering/types.js';
import { requireKnownOptions } from '../options.js';
import {
  bytesPerElement,
  checkedTensor,
  elementCount,
  formatShape,
  tensorBytes,
  type TensorData,
} from '../tensor.js';
import { standardizeWeight } from '../graph/standardize.js';
import { chunksLength, joinChunks, modelChunks } from './chunks.js';
import { encodeNode } from './operators.js';
import type { ModelMessage, TensorMessage } from './proto.js';
import { encodeExternalTensor, encodeTensor } from './tensors.js';
import { encodeValueInfo } from './value-info.js';

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
  joinChunks(encodeModelChunks(graph, weights, options));

/** Encodes a model in chunks, to be written one after the other, without a copy of the weights. */
export function encodeModelChunks(graph: Graph, weights: Weights, options: EncodeOptions = {}): Uint8Array[] {
  const initializers = collectWeights(graph, weights).map(([name, data]) => encodeTensor(name, data));
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
  const data: Uint8Array[] = [];
  let offset = 0;
  const append = (bytes: Uint8Array) => {
    data.push(bytes);
    offset += bytes.byteLength;
  };
  const initializers = collectWeights(graph, weights).map(([name, weight]) => {
    if (weight.data.byteLength < MIN_EXTERNAL_BYTES) return encodeTensor(name, weight);
    append(new Uint8Array((EXTERNAL_ALIGNMENT - (offset % EXTERNAL_ALIGNMENT)) % EXTERNAL_ALIGNMENT));
    const message = encodeExternalTensor(name, weight, { location, offset });
    append(tensorBytes(weight));
    return message;
  });
  return { model: joinChunks(modelChunks(toModel(graph, initializers, options))), location, data };
}

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

function toModel(graph: Graph, weights: TensorMessage[], options: EncodeOptions): ModelMessage {
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

function collectWeights(graph: Graph, weights: Weights): [name: string, data: TensorData][] {
  requireGraph('encodeModel', graph);
  requireWeights(graph, weights);
  return graph.parameters.map((parameter) => [
    parameter.name,
    inModel(parameter, requireFit(parameter, weights.get(parameter.name)!)),
  ]);
}

/** Returns what the model holds in place of a parameter's tensor. */
const inModel = ({ standardizeEps }: Value, data: TensorData): TensorData =>
  standardizeEps === undefined ? data : standardizeWeight(data, standardizeEps);

function requireWeights({ name: graph, parameters }: Graph, weights: Weights): void {
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

function requireFit(parameter: Value, given: TensorData): TensorData {
  const data = checkedWeight(parameter, given);
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
      'write its weights as external data (--external-data)',
  );

/**
 * Checks, before there are weights, that the parameters fit into one file.
 * @throws ModelError `MODEL_TOO_LARGE`
 */
export function requireParametersFit(graph: Graph): void {
  const bytes = parameterBytes(graph);
  if (bytes > MAX_MODEL_BYTES) throw tooLarge(graph, bytes);
}

/** Returns the size of a graph's parameters in bytes. */
export const parameterBytes = ({ parameters }: Graph): number =>
  parameters.reduce(
    (sum, { dtype, shape }) => sum + elementCount(shape as number[]) * bytesPerElement(dtype),
    0,
  );
