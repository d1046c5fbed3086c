/** The names of the files that hold weights, in an encoded model. All else stays, byte for byte. */
import { joinChunks, spliceRuns, spliceWithin, textField } from './chunks.js';
import { ATTRIBUTE, ENTRY, FUNCTION, GRAPH, MODEL, NODE, SPARSE_TENSOR, TENSOR } from './schema.js';
import { WireReader } from './wire.js';

type Holder = 'model' | 'function' | 'graph' | 'node' | 'attribute' | 'sparseTensor' | 'tensor';

/** The fields of each message that lead to external data, and the message in each. */
const PARTS: Readonly<Record<Holder, ReadonlyMap<number, Holder | 'entry'>>> = {
  model: new Map([
    [MODEL.graph, 'graph'],
    [MODEL.functions, 'function'],
  ]),
  function: new Map([
    [FUNCTION.node, 'node'],
    [FUNCTION.attributeProto, 'attribute'],
  ]),
  graph: new Map([
    [GRAPH.node, 'node'],
    [GRAPH.initializer, 'tensor'],
    [GRAPH.sparseInitializer, 'sparseTensor'],
  ]),
  node: new Map([[NODE.attribute, 'attribute']]),
  attribute: new Map([
    [ATTRIBUTE.t, 'tensor'],
    [ATTRIBUTE.g, 'graph'],
    [ATTRIBUTE.graphs, 'graph'],
  ]),
  sparseTensor: new Map([[SPARSE_TENSOR.values, 'tensor']]),
  tensor: new Map([[TENSOR.externalData, 'entry']]),
};

/** Returns a model that looks for its weights in other files: `names` has the new path of each file, by its old path. */
export function renameLocations(model: Uint8Array, names: ReadonlyMap<string, string>): Uint8Array {
  const renamedWithin = (holder: Holder) => (field: WireReader) => {
    const part = PARTS[holder].get(field.tag);
    if (part === undefined) return undefined;
    return part === 'entry' ? renamedEntry(field, names) : spliceWithin(field, renamedWithin(part));
  };
  const runs = spliceRuns(WireReader.of(model), renamedWithin('model'));
  return runs ? joinChunks(runs.flat()) : model;
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
