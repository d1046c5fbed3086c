/**
 * The walk over all tensors of an encoded model, wherever ONNX has a place for a tensor, and the names of the files that hold
 * their data. ONNX Runtime opens these files from more places than passes look into, so whoever checks or changes the files of
 * a model does it here.
 */
import type { Budget } from '../../limits.js';
import { joinChunks, spliceRuns, spliceWithin, textField } from './chunks.js';
import type { Chunk } from './messages.js';
import { ATTRIBUTE, ENTRY, FUNCTION, GRAPH, MODEL, NODE, SPARSE_TENSOR, TENSOR, TRAINING } from './schema.js';
import { externalEnd, readTensorHeader } from './tensors.js';
import { requireOnce, UNBOUNDED, WireReader } from './wire.js';

type Holder = 'model' | 'training' | 'function' | 'graph' | 'node' | 'attribute' | 'sparseTensor' | 'tensor';

/** A field that leads to tensors. */
interface Part {
  readonly holds: Holder;
  /** The name of a field that occurs once: protobuf merges a second one into the first. */
  readonly once?: string;
}

const once = (holds: Holder, name: string): Part => ({ holds, once: name });
const each = (holds: Holder): Part => ({ holds });

/**
 * The fields of each message that lead to tensors. Quantization annotations, types and metadata name tensors and do not
 * hold them. Source: onnx.proto of ONNX 1.23.
 */
const PARTS: Readonly<Record<Exclude<Holder, 'tensor'>, ReadonlyMap<number, Part>>> = {
  model: new Map([
    [MODEL.graph, once('graph', 'graph')],
    [MODEL.trainingInfo, each('training')],
    [MODEL.functions, each('function')],
  ]),
  training: new Map([
    [TRAINING.initialization, once('graph', 'initialization')],
    [TRAINING.algorithm, once('graph', 'algorithm')],
  ]),
  function: new Map([
    [FUNCTION.node, each('node')],
    [FUNCTION.attributeProto, each('attribute')],
  ]),
  graph: new Map([
    [GRAPH.node, each('node')],
    [GRAPH.initializer, each('tensor')],
    [GRAPH.sparseInitializer, each('sparseTensor')],
  ]),
  node: new Map([[NODE.attribute, each('attribute')]]),
  attribute: new Map([
    [ATTRIBUTE.t, once('tensor', 'tensor')],
    [ATTRIBUTE.g, once('graph', 'graph')],
    [ATTRIBUTE.sparseTensor, once('sparseTensor', 'sparse_tensor')],
    [ATTRIBUTE.tensors, each('tensor')],
    [ATTRIBUTE.graphs, each('graph')],
    [ATTRIBUTE.sparseTensors, each('sparseTensor')],
  ]),
  sparseTensor: new Map([
    [SPARSE_TENSOR.values, once('tensor', 'values')],
    [SPARSE_TENSOR.indices, once('tensor', 'indices')],
  ]),
};

/** What messages call a holder. */
const ARTICLES: Readonly<Partial<Record<Holder, string>>> = {
  model: 'the model',
  training: 'training_info',
  attribute: 'an attribute',
  sparseTensor: 'a sparse tensor',
};

/**
 * Calls `visit` with the field of each tensor within a message, and whether the tensor is an initializer of the model's graph.
 * @param parent The holder of the message.
 * @throws ModelError `MODEL_INVALID` if a message has a field twice that ONNX has once.
 */
function visitTensors(
  message: WireReader,
  holder: Exclude<Holder, 'tensor'>,
  visit: (tensor: WireReader, isInitializer: boolean) => void,
  parent?: Holder,
): void {
  const parts = PARTS[holder];
  let seen: number[] | undefined;
  while (message.next()) {
    const { tag } = message;
    const part = parts.get(tag);
    if (!part) continue;
    if (part.once !== undefined) {
      if (seen?.includes(tag)) throw requireOnce(ARTICLES[holder]!, part.once);
      (seen ??= []).push(tag);
    }
    if (part.holds === 'tensor') visit(message, holder === 'graph' && parent === 'model');
    else visitTensors(message.enter(), part.holds, visit, holder);
  }
}

/** A file that holds the data of tensors. */
export interface ExternalFile {
  /** How many bytes it must have. */
  readonly size: number;
  /** Whether only initializers of the model's graph lie in it: ONNX Runtime takes these alone from memory. */
  readonly hasOnlyInitializers: boolean;
}

/** Files by their paths relative to the model's folder. */
export type ExternalFiles = ReadonlyMap<string, ExternalFile>;

/**
 * Returns the files that the tensors of a model lie in.
 * @throws ModelError `MODEL_INVALID`, `TENSOR_INVALID`, `LIMIT_EXCEEDED`.
 */
export function externalFiles(model: Uint8Array, budget?: Budget): ExternalFiles {
  const files = new Map<string, ExternalFile>();
  visitTensors(WireReader.of(model, budget), 'model', (field, isInitializer) => {
    const header = readTensorHeader(field);
    const { location } = header;
    if (location === undefined) return;
    const { size, hasOnlyInitializers } = files.get(location) ?? { size: 0, hasOnlyInitializers: true };
    files.set(location, {
      size: Math.max(size, externalEnd(header)),
      hasOnlyInitializers: hasOnlyInitializers && isInitializer,
    });
  });
  return files;
}

/**
 * Returns a model with other fields in place of its tensors' fields, wherever it has tensors, as chunks; `undefined` if all stay.
 * @param replace Returns the whole field that takes a tensor's place, as chunks; `undefined` to leave the tensor.
 */
export function spliceTensors<Part extends Chunk = Uint8Array>(
  model: Uint8Array,
  replace: (tensor: WireReader) => (Part | Uint8Array)[] | undefined,
): (Part | Uint8Array)[] | undefined {
  const replaceWithin = (holder: Exclude<Holder, 'tensor'>) => (field: WireReader) => {
    const holds = PARTS[holder].get(field.tag)?.holds;
    return holds === 'tensor' ? replace(field) : holds && spliceWithin<Part>(field, replaceWithin(holds));
  };
  return spliceRuns<Part>(WireReader.of(model, UNBOUNDED), replaceWithin('model'))?.flat();
}

/** Returns a model that looks for its weights in other files: `names` has the new path of each file, by its old path. */
export function renameLocations(model: Uint8Array, names: ReadonlyMap<string, string>): Uint8Array {
  const chunks = spliceTensors(model, (tensor) =>
    spliceWithin(tensor, (field) =>
      field.tag === TENSOR.externalData ? renamedEntry(field, names) : undefined,
    ),
  );
  return chunks ? joinChunks(chunks) : model;
}

function renamedEntry(field: WireReader, names: ReadonlyMap<string, string>): Uint8Array[] | undefined {
  if (!isLocation(field.enter())) return undefined;
  return spliceWithin(field, (part) => {
    const renamed = part.tag === ENTRY.value ? names.get(part.text()) : undefined;
    return renamed === undefined ? undefined : textField(ENTRY.value, renamed);
  });
}

function isLocation(entry: WireReader): boolean {
  let key = '';
  while (entry.next()) if (entry.tag === ENTRY.key) key = entry.text();
  return key === 'location';
}
