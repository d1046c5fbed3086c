import { canonicalDomain } from './node.js';
import { FUNCTION, MODEL, OPSET } from './schema.js';
import { requireOnce } from './visit.js';
import { WireReader } from './wire.js';

/** What a ModelProto holds besides the graph's own content, as far as it is read. */
export interface ModelFields {
  readonly graph: Uint8Array | undefined;
  /** The opset of the default ONNX domain, 0 if it is not imported; nothing if the model imports no opset at all. */
  readonly opset: number | undefined;
  /** Every domain that the model imports. */
  readonly domains: ReadonlySet<string>;
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
  const domains = new Set<string>();
  let opset: number | undefined;
  while (model.next()) {
    if (model.tag === MODEL.functions) functions.add(functionId(model.enter()));
    if (model.tag === MODEL.opsetImport) {
      const { domain, version } = readOpset(model.enter());
      domains.add(domain);
      opset = opset || (domain === '' ? version : 0);
    }
    if (model.tag !== MODEL.graph) continue;
    if (graph) throw requireOnce('the model', 'graph');
    graph = model.bytes;
  }
  return { graph, opset, domains, functions };
}

function readOpset(entry: WireReader): { domain: string; version: number } {
  let [domain, version] = ['', 0];
  while (entry.next()) {
    if (entry.tag === OPSET.domain) domain = entry.text();
    else if (entry.tag === OPSET.version) version = entry.int64();
  }
  return { domain: canonicalDomain(domain), version };
}

function functionId(body: WireReader): string {
  let [domain, name] = ['', ''];
  while (body.next()) {
    if (body.tag === FUNCTION.domain) domain = body.text();
    else if (body.tag === FUNCTION.name) name = body.text();
  }
  return operatorId(domain, name);
}
