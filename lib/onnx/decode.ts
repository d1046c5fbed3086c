import { nameIn, type Visit, visitFunction, visitGraph } from './graph-walk.js';
import { canonicalDomain, readNode } from './node.js';
import { FUNCTION, GRAPH, MODEL, OPSET } from './schema.js';
import { GraphFields } from './splice.js';
import { checkTensor } from './tensors.js';
import { hasShape, readType } from './value-info.js';
import { requireOnce, tooLarge, WireReader } from './wire.js';

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

/** Passes keep all nodes, or all that is declared, at once. Models in use have some thousands. */
const MAX_ENTRIES = 2 ** 20;

/**
 * Reads all that passes may ask a model for, so that damage is told when it is decoded and not halfway through a
 * pass: nodes, tensors and declared types, those of bodies and functions among them.
 * @throws ModelError.
 */
export function checkModel(bytes: Uint8Array): void {
  let entries = 0;
  const checkEntry = (field: WireReader, check: Check) => {
    if (++entries > MAX_ENTRIES)
      throw tooLarge(`more than ${MAX_ENTRIES} nodes, tensors and declared values`);
    check(field);
  };
  const checkNode: Visit = (field) => checkEntry(field, readNode);
  const checkField: Visit = (field) => {
    const check = CHECKS.get(field.tag);
    if (check) checkEntry(field, check);
  };
  const model = WireReader.of(bytes);
  while (model.next()) {
    if (model.tag === MODEL.graph) visitGraph(model.enter(), checkField);
    if (model.tag === MODEL.functions) visitFunction(model.enter(), checkNode, checkField);
  }
}

type Check = (field: WireReader) => unknown;

const CHECKS: ReadonlyMap<number, Check> = new Map<number, Check>([
  [GRAPH.node, readNode],
  [GRAPH.initializer, checkTensor],
  [GRAPH.input, readType],
  [GRAPH.output, readType],
  [GRAPH.valueInfo, readType],
]);

/** The inputs and outputs for which a model declares no shape, and so takes or gives any rank. */
export function unrankedNames(model: Uint8Array): Set<string> {
  const names = new Set<string>();
  const { graph = new Uint8Array() } = readModel(model);
  new GraphFields(graph).each((field) => {
    if ((field.tag === GRAPH.input || field.tag === GRAPH.output) && !hasShape(field))
      names.add(nameIn(field));
  });
  return names;
}
