/**
 * The bodies of If, Loop and Scan, and local functions: their nodes, what the names in them mean, and edits of the nodes. They
 * are decoded when a pass asks for them; all bytes that an edit does not change stay as they are.
 */
import { delimited, spliceRuns, spliceWithin, textField } from '../protobuf/chunks.js';
import { GraphIndex, type IndexedField } from './graph-index.js';
import { GraphDecoder, takenNames } from './graph.js';
import type { ValueInfoMessage } from '../protobuf/messages.js';
import {
  type Attribute,
  attributesIn,
  canonicalDomain,
  type FindAttribute,
  isBody,
  type ModelNode,
} from './node.js';
import { bodyPlace, functionPlace, type NodePlace, readOpset } from './outline.js';
import { OperatorSetIdProto, ValueInfoProto } from '../protobuf/proto.js';
import { FUNCTION, GRAPH, MODEL, NODE } from '../protobuf/schema.js';
import { sortNodes } from './sort.js';
import { readValueInfo } from './value-info.js';
import { UNBOUNDED, WireReader } from '../protobuf/wire.js';

/** What changes in a node. */
export interface InnerEdit {
  /** The encoded nodes that take its place. */
  readonly nodes?: readonly Uint8Array[];
  /** The name of the local function that it calls instead, of the same domain. */
  readonly opType?: string;
  /** What changes in its bodies, in their order; `undefined` for a body that stays. */
  readonly bodies?: readonly (GraphEdits | undefined)[];
  /** The names of all of its outputs. */
  readonly outputs?: readonly string[];
}

/** What changes in a body or function. */
export interface GraphEdits {
  /** What changes in nodes, by their positions. */
  readonly nodes: ReadonlyMap<number, InnerEdit>;
  /** The encoded nodes that come behind all others. */
  readonly added?: readonly Uint8Array[];
  /** The names of outputs that come behind all others. */
  readonly outputs?: readonly string[];
  /** The types of values that a body declares besides. */
  readonly declared?: readonly ValueInfoMessage[];
}

/** A body or a local function. Decoded before, so that its limits are checked. */
export class InnerGraph {
  /** In the order of the file. */
  readonly nodes: readonly ModelNode[];
  readonly #fields: readonly IndexedField[];
  #index: GraphIndex | undefined;
  #positions: ReadonlyMap<string, number> | undefined;

  constructor(
    readonly place: NodePlace,
    readonly inputs: readonly string[],
    readonly outputs: readonly string[],
    fields: readonly IndexedField[],
    protected readonly message: WireReader,
    private readonly nodeTag: number,
  ) {
    this.#fields = fields;
    this.nodes = fields.flatMap(({ node }) => node ?? []);
  }

  /**
   * What each name means here. Names of outer values mean nothing.
   * @throws ModelError `MODEL_INVALID` if nodes form a cycle, or two results have one name.
   */
  get index(): GraphIndex {
    if (this.#index) return this.#index;
    const nodes = this.#fields.flatMap(({ node, inner }) => (node ? [{ node, inner, tag: GRAPH.node }] : []));
    const others = this.#fields.filter(({ node }) => !node);
    return (this.#index = new GraphIndex([...others, ...sortNodes(nodes, this.place.text)]));
  }

  /** Returns which input has a name; `undefined` for other values. */
  positionOf(name: string): number | undefined {
    this.#positions ??= new Map(this.inputs.map((input, at) => [input, at]));
    return this.#positions.get(name);
  }

  /** Returns every name in use, of values and nodes, in bodies too. */
  names(): Set<string> {
    return new Set([...takenNames(this.#fields), ...this.inputs, ...this.outputs]);
  }

  /** Returns the message with its edits, as chunks. */
  edited(edits: GraphEdits): Uint8Array[] {
    return [...spliced(this.message, this.editNode(edits)), ...this.addedBy(edits)];
  }

  /** Returns the fields that edits add, as chunks. */
  protected addedBy({ added = [], outputs = [], declared = [] }: GraphEdits): Uint8Array[] {
    return [
      ...declared.flatMap((value) => delimited(GRAPH.valueInfo, [ValueInfoProto.encode(value).finish()])),
      ...added.flatMap((message) => delimited(this.nodeTag, [message])),
      ...outputs.flatMap((name) => this.outputField(name)),
    ];
  }

  /** Returns the field of an output, whose type the runtime infers. */
  protected outputField(name: string): Uint8Array[] {
    return delimited(GRAPH.output, [ValueInfoProto.encode({ name }).finish()]);
  }

  /** Returns a function that edits the node in a field. It must see the fields in their order. */
  protected editNode(edits: GraphEdits): (field: WireReader) => Uint8Array[] | undefined {
    let position = -1;
    return (field) => {
      if (field.tag !== this.nodeTag) return undefined;
      position += 1;
      const edit = edits.nodes.get(position);
      return edit && editedNode(field, this.nodes[position]!, edit);
    };
  }
}

/** Returns the fields of a message, some of them replaced, as chunks. */
function spliced(
  message: WireReader,
  replace: (field: WireReader) => Uint8Array[] | undefined,
): Uint8Array[] {
  const fields = message.rewound();
  const start = fields.position;
  return spliceRuns(fields, replace)?.flat() ?? [fields.between(start, fields.position)];
}

/** Returns the field of a node with its edit. */
export function editedNode(field: WireReader, node: ModelNode, edit: InnerEdit): Uint8Array[] {
  if (edit.nodes) return edit.nodes.flatMap((message) => delimited(field.tag, [message]));
  const bodies = edit.bodies ? bodiesOf(node) : [];
  let next = 0;
  const parts = spliceRuns(field.enter(), (part) => {
    if (part.tag === NODE.opType && edit.opType !== undefined) return textField(part.tag, edit.opType);
    if (part.tag === NODE.output && edit.outputs) return [];
    if (part.tag !== NODE.attribute || bodies.length === 0) return undefined;
    return spliceWithin(part, ({ tag }) => {
      if (!isBody(tag)) return undefined;
      const [body, edits] = [bodies[next]!, edit.bodies![next]];
      next += 1;
      return edits && delimited(tag, body.edited(edits));
    });
  });
  const outputs = (edit.outputs ?? []).flatMap((name) => textField(NODE.output, name));
  return delimited(field.tag, [...(parts?.flat() ?? [field.bytes]), ...outputs]);
}

/** The bodies that were decoded, by their nodes. */
const BODIES = new WeakMap<ModelNode, readonly InnerGraph[]>();

/** Returns the bodies of a node, in the order of the file; an empty list for most nodes. */
export function bodiesOf(node: ModelNode): readonly InnerGraph[] {
  const known = BODIES.get(node);
  if (known) return known;
  const place = bodyPlace(node);
  const bodies = [...node.bodies()].map((bytes) => readBody(bytes, place));
  if (bodies.length > 0) BODIES.set(node, bodies);
  return bodies;
}

function readBody(bytes: Uint8Array, place: NodePlace): InnerGraph {
  const message = WireReader.of(bytes, UNBOUNDED);
  const fields = new GraphDecoder().readFields(message.rewound());
  const namesIn = (list: number) => fields.flatMap(({ tag, value }) => (tag === list ? value!.name : []));
  return new InnerGraph(place, namesIn(GRAPH.input), namesIn(GRAPH.output), fields, message, GRAPH.node);
}

/** One way to write a local function. */
export interface FunctionVersion {
  readonly name: string;
  readonly edits: GraphEdits;
  /** The operator sets that the nodes need. */
  readonly imports: ReadonlyMap<string, number>;
}

/** A local function. */
export class LocalFunction extends InnerGraph {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  /** The opset of the default ONNX domain; `undefined` if the function does not import it. */
  readonly opset: number | undefined;
  #defaults: ReadonlyMap<string, Attribute> | undefined;

  /** @param field The field of the function in its model. */
  constructor(readonly field: Uint8Array) {
    const message = enterField(field);
    const [texts, fields] = [new Map<number, string[]>(), [] as IndexedField[]];
    const [decoder, reader] = [new GraphDecoder(), message.rewound()];
    let opset: number | undefined;
    while (reader.next()) {
      const { tag } = reader;
      if (tag === FUNCTION.node) fields.push({ tag: GRAPH.node, ...decoder.readNode(reader) });
      else if (tag === FUNCTION.valueInfo)
        fields.push({ tag: GRAPH.valueInfo, value: readValueInfo(reader) });
      else if (tag === FUNCTION.opsetImport) {
        const { domain, version } = readOpset(reader);
        if (domain === '') opset = version;
      } else if (TEXTS.has(tag)) {
        const list = texts.get(tag) ?? [];
        list.push(reader.text());
        texts.set(tag, list);
      }
    }
    const [inputs, outputs] = [FUNCTION.input, FUNCTION.output].map((tag) => texts.get(tag) ?? []);
    for (const name of outputs!) fields.push({ tag: GRAPH.output, value: { name, ...NOT_DECLARED } });
    const [name, domain, overload] = [FUNCTION.name, FUNCTION.domain, FUNCTION.overload].map(
      (tag) => texts.get(tag)?.at(-1) ?? '',
    );
    super(functionPlace(domain!, name!), inputs!, outputs!, fields, message, FUNCTION.node);
    this.name = name!;
    this.domain = canonicalDomain(domain!);
    this.overload = overload!;
    this.opset = opset;
  }

  /** Returns a function that finds the attributes that a call gives, or their default values. */
  attributesOf(call: ModelNode): FindAttribute {
    let given: ReadonlyMap<string, Attribute> | undefined;
    return (name) => {
      given ??= call.givenAttributes();
      this.#defaults ??= new Map(attributesIn(this.message, FUNCTION.attributeProto));
      return given.get(name) ?? this.#defaults.get(name);
    };
  }

  /** Returns the field of a version of the function in its model, as chunks. */
  version({ name, edits, imports }: FunctionVersion): Uint8Array[] {
    const editNode = this.editNode(edits);
    const missing = new Map(imports);
    const fields = spliced(this.message, (field) => {
      if (field.tag === FUNCTION.name) return textField(field.tag, name);
      if (field.tag !== FUNCTION.opsetImport) return editNode(field);
      const own = readOpset(field);
      const needed = imports.get(own.domain);
      missing.delete(own.domain);
      return needed === undefined || needed === own.version ? undefined : opsetImport(own.domain, needed);
    });
    const added = [...missing].flatMap(([domain, version]) => opsetImport(domain, version));
    return delimited(MODEL.functions, [...fields, ...added, ...this.addedBy(edits)]);
  }

  protected override outputField(name: string): Uint8Array[] {
    return textField(FUNCTION.output, name);
  }
}

/** A function does not declare the types of its outputs. */
const NOT_DECLARED = { type: undefined, hasShape: false, otherType: undefined };

const TEXTS: ReadonlySet<number> = new Set([
  FUNCTION.name,
  FUNCTION.domain,
  FUNCTION.overload,
  FUNCTION.input,
  FUNCTION.output,
]);

const opsetImport = (domain: string, version: number): Uint8Array[] =>
  delimited(FUNCTION.opsetImport, [OperatorSetIdProto.encode({ domain, version }).finish()]);

function enterField(field: Uint8Array): WireReader {
  const reader = WireReader.of(field, UNBOUNDED);
  reader.next();
  return reader.enter();
}

/** Returns a text that is the same for equal edits. */
export const keyOf = (edits: GraphEdits): string => JSON.stringify(listOf(edits));

const LATIN1 = new TextDecoder('latin1');

const listOf = ({ nodes: edits }: GraphEdits): unknown[] =>
  [...edits].map(([position, { nodes, opType, bodies }]) => [
    position,
    nodes?.map((node) => LATIN1.decode(node)),
    opType,
    bodies?.map((body) => body && listOf(body)),
  ]);
