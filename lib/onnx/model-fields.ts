import { canonicalDomain } from './node.js';
import { FUNCTION, MODEL, OPSET } from './schema.js';
import { requireOnce } from './visit.js';
import { WireReader } from './wire.js';

/** What a ModelProto holds besides the graph's own content, as far as it is read. */
export interface ModelFields {
  readonly graph: Uint8Array | undefined;
  /** The opset of the default ONNX domain, 0 if it is not imported; nothing if the model imports no opset at all. */
  readonly opset: number | undefined;
  /** The local functions, as `operatorId` names them. */
  readonly functions: ReadonlySet<string>;
}

/** An operator, of ONNX or of the model itself. */
export const operatorId = (domain: string, name: string): string => `${canonicalDomain(domain)}:${name}`;

/** Reads a ModelProto. */
export function readModel(bytes: Uint8Array): ModelFields {
  const model = WireReader.of(bytes);
  const functions = new Set<string>();
  let graph: Uint8Array | undefined;
  let opset: number | undefined;
  while (model.next()) {
    if (model.tag === MODEL.functions) functions.add(functionId(model.enter()));
    if (model.tag === MODEL.opsetImport) opset = opset || readOpset(model.enter());
    if (model.tag !== MODEL.graph) continue;
    if (graph) throw requireOnce('the model', 'graph');
    graph = model.bytes;
  }
  return { graph, opset, functions };
}

/** The version of the default domain, or 0 for another domain. */
function readOpset(entry: WireReader): number {
  let [domain, version] = ['', 0];
  while (entry.next()) {
    if (entry.tag === OPSET.domain) domain = entry.text();
    else if (entry.tag === OPSET.version) version = entry.int64();
  }
  return canonicalDomain(domain) === '' ? version : 0;
}

function functionId(body: WireReader): string {
  let [domain, name] = ['', ''];
  while (body.next()) {
    if (body.tag === FUNCTION.domain) domain = body.text();
    else if (body.tag === FUNCTION.name) name = body.text();
  }
  return operatorId(domain, name);
}
