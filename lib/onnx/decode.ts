/** Decoding a ModelProto: its graph, the operator sets that it imports, and its local functions. */
import { ModelError } from '../errors.js';
import { Budget, type Limits } from '../limits.js';
import { GraphDecoder, GraphFields, type InnerFacts, noFacts } from './graph/graph.js';
import { inlinedNodeCount } from './graph/function-calls.js';
import { canonicalDomain, PARTS } from './graph/node.js';
import { readOpset } from './graph/outline.js';
import { describeOtherFile } from './other-files.js';
import { FUNCTION, MODEL } from './protobuf/schema.js';
import { type ExternalFiles, externalFiles } from './protobuf/tensor-walk.js';
import { requireOnce, WireReader, withContext } from './protobuf/wire.js';

/** A decoded model. */
export interface ModelContent extends Pick<ModelHeader, 'irVersion' | 'domains' | 'functions'> {
  readonly opset: number;
  readonly graph: GraphFields;
  /** What the local functions hold. */
  readonly inFunctions: InnerFacts;
  readonly externalFiles: ExternalFiles;
}

/** The fields of a ModelProto. The graph and the functions' bodies are readers that stand before the first field. */
interface ModelHeader {
  /** The version of ONNX's file format; 0 if the model does not name it. */
  readonly irVersion: number;
  readonly graph: WireReader | undefined;
  /** The opset of the default ONNX domain: 0 if it is not imported, `undefined` if the model imports no opset at all. */
  readonly opset: number | undefined;
  /** Every domain that the model imports. */
  readonly domains: ReadonlySet<string>;
  /** The local functions, as `operatorId` names them. */
  readonly functions: ReadonlySet<string>;
  readonly functionBodies: readonly WireReader[];
}

/**
 * Reads a whole model and checks it: passes find no damage later. The graph's nodes are in an order in which they can run,
 * whatever order the model has.
 * @param where What messages call the model.
 * @throws ModelError `MODEL_INVALID`, `TENSOR_INVALID`, or `LIMIT_EXCEEDED`.
 */
export function decodeModel(bytes: Uint8Array, where: string, limits: Limits): ModelContent {
  const header = readHeader(bytes, where, limits);
  const { irVersion, graph, opset, domains, functions, functionBodies } = header;
  if (!graph || opset === undefined) {
    const what =
      describeOtherFile(bytes) ?? `this is not an ONNX model: it has no ${graph ? 'opset' : 'graph'}`;
    throw new ModelError('MODEL_INVALID', `${where}: ${what}`);
  }
  const content = withContext(where, () => {
    const decoder = new GraphDecoder();
    const fields = new GraphFields(graph, where);
    if (functionBodies.length > 0) takeInlined(graph, functionBodies);
    const inFunctions = noFacts();
    for (const body of functionBodies) decoder.readFunction(body, inFunctions);
    const files = externalFiles(bytes, graph.budget);
    return { irVersion, opset, domains, functions, graph: fields, inFunctions, externalFiles: files };
  });
  content.graph.sortNodes(where);
  return content;
}

/** Counts the nodes that the model has once ONNX Runtime has inlined its functions. */
function takeInlined(graph: WireReader, functionBodies: readonly WireReader[]): void {
  const count = inlinedNodeCount(graph, functionBodies);
  graph.take('modelParts', PARTS.node * count, 'nodes and other parts, when its functions are inlined');
}

function readHeader(bytes: Uint8Array, where: string, limits: Limits): ModelHeader {
  try {
    return withContext(where, () =>
      readModelHeader(WireReader.of(bytes, new Budget(limits, bytes.byteLength))),
    );
  } catch (cause) {
    const other = describeOtherFile(bytes);
    throw other === undefined ? cause : new ModelError('MODEL_INVALID', `${where}: ${other}`, { cause });
  }
}

/** Reads the fields of a ModelProto, but not the graph's. */
export function readModelHeader(model: WireReader): ModelHeader {
  const functions = new Set<string>();
  const functionBodies: WireReader[] = [];
  const domains = new Set<string>();
  let graph: WireReader | undefined;
  let opset: number | undefined;
  let irVersion = 0;
  while (model.next()) {
    if (model.tag === MODEL.irVersion) irVersion = model.int64();
    if (model.tag === MODEL.functions) {
      functions.add(functionId(model.enter()));
      functionBodies.push(model.enter());
    }
    if (model.tag === MODEL.opsetImport) {
      const { domain, version } = readOpset(model);
      domains.add(domain);
      opset = opset || (domain === '' ? version : 0);
    }
    if (model.tag !== MODEL.graph) continue;
    if (graph) throw requireOnce('the model', 'graph');
    graph = model.enter();
  }
  return { irVersion, graph, opset, domains, functions, functionBodies };
}

/** Names an operator of ONNX or a local function. */
export const operatorId = (domain: string, name: string): string => `${canonicalDomain(domain)}:${name}`;

function functionId(body: WireReader): string {
  let [domain, name] = ['', ''];
  while (body.next()) {
    if (body.tag === FUNCTION.domain) domain = body.text();
    else if (body.tag === FUNCTION.name) name = body.text();
  }
  return operatorId(domain, name);
}
