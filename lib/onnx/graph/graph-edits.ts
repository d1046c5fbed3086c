/** Edits of a graph's fields: new names for values, and casts at the boundary. All else stays, byte for byte. */
import { int, string } from '../../graph/attr.js';
import { ONNX_DTYPE } from '../../graph/types.js';
import type { DType } from '../../tensor.js';
import { delimited, spliceRuns, spliceWithin, textField } from '../protobuf/chunks.js';
import { type GraphFields, readerOf } from './graph.js';
import { isBody } from './node.js';
import { encodeAttribute } from './operators.js';
import { ATTRIBUTE_TYPE, AttributeProto, NodeProto } from '../protobuf/proto.js';
import { ATTRIBUTE, GRAPH, NODE, SPARSE_TENSOR, TENSOR, VALUE_INFO } from '../protobuf/schema.js';
import { withDtype } from './value-info.js';
import type { WireReader } from '../protobuf/wire.js';

/** Returns a value's new name, or its own name to keep it. */
export type Rename = (name: string) => string;

/** Renames the inputs and outputs of the node in a field, and the outer values that its bodies read. */
export const renameInNode = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => {
    if (part.tag === NODE.input || part.tag === NODE.output) return renamedField(part, rename);
    return part.tag === NODE.attribute ? renameInAttribute(part, rename) : undefined;
  });

/** Renames the tensor in a field. */
export const renameTensor = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => (part.tag === TENSOR.name ? renamedField(part, rename) : undefined));

/** Renames the value whose type a field declares. */
export const renameValueInfo = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => (part.tag === VALUE_INFO.name ? renamedField(part, rename) : undefined));

const renameInAttribute = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => {
    return isBody(part.tag) ? renameInBody(part, rename) : undefined;
  });

const renameInBody = (field: WireReader, rename: Rename): Uint8Array[] | undefined => {
  const renameOuter = exceptShadowed(field.enter(), rename);
  return spliceWithin(field, (part) =>
    part.tag === GRAPH.node ? renameInNode(part, renameOuter) : undefined,
  );
};

/** Within a body, a name that it defines is its own value. ONNX forbids such names, but some writers use them. */
function exceptShadowed(body: WireReader, rename: Rename): Rename {
  const own = new Set<string>();
  while (body.next()) {
    for (const name of definedNames(body)) if (rename(name) !== name) own.add(name);
  }
  return own.size === 0 ? rename : (name) => (own.has(name) ? name : rename(name));
}

/** Yields the names of the values that a field defines: outputs of a node, an input, a tensor. */
function* definedNames(field: WireReader): Generator<string, void> {
  if (field.tag === GRAPH.node) yield* texts(field.enter(), NODE.output);
  else if (field.tag === GRAPH.input) yield* texts(field.enter(), VALUE_INFO.name);
  else if (field.tag === GRAPH.initializer) yield* texts(field.enter(), TENSOR.name);
  else if (field.tag === GRAPH.sparseInitializer) {
    const sparse = field.enter();
    while (sparse.next()) if (sparse.tag === SPARSE_TENSOR.values) yield* texts(sparse.enter(), TENSOR.name);
  }
}

function* texts(message: WireReader, tag: number): Generator<string, void> {
  while (message.next()) if (message.tag === tag) yield message.text();
}

function renamedField(field: WireReader, rename: Rename): Uint8Array[] | undefined {
  const name = field.text();
  const renamed = rename(name);
  return renamed === name ? undefined : textField(field.tag, renamed);
}

/** A change of a node's inputs and attributes. */
export interface NodeEdit {
  /** The names of attributes that are removed. */
  readonly dropped: readonly string[];
  /** The names of inputs that are added behind the others. */
  readonly inputs: readonly string[];
  /** Integers and texts that are added as attributes. */
  readonly set: Readonly<Record<string, number | string>>;
}

/** Edits the node in a field. */
export function editNode(field: WireReader, { dropped, inputs, set }: NodeEdit): Uint8Array[] {
  const isDropped = (part: WireReader) =>
    part.tag === NODE.attribute &&
    [...texts(part.enter(), ATTRIBUTE.name)].some((name) => dropped.includes(name));
  const kept = spliceRuns(field.enter(), (part) => (isDropped(part) ? [] : undefined));
  const attributes = Object.entries(set).map(([name, value]) =>
    encodeAttribute(name, typeof value === 'number' ? int(value) : string(value)),
  );
  return delimited(field.tag, [
    ...(kept?.flat() ?? [field.bytes]),
    ...inputs.flatMap((name) => textField(NODE.input, name)),
    ...attributes.flatMap((attribute) =>
      delimited(NODE.attribute, [AttributeProto.encode(attribute).finish()]),
    ),
  ]);
}

/** An input or output of a graph whose dtype outside differs from that inside. */
export interface BoundaryCast {
  readonly at: 'input' | 'output';
  /** The value's name in the graph. Outside it keeps its own. */
  readonly insideName: string;
  readonly insideDtype: DType;
  readonly outsideDtype: DType;
}

/** Puts casts at the boundary of a graph, by their names outside: all in one pass. */
export function applyCasts(graph: GraphFields, casts: ReadonlyMap<string, BoundaryCast>): void {
  const rename: Rename = (name) => casts.get(name)?.insideName ?? name;
  // An output may be an initializer in place of a node's result.
  const renameOutput: Rename = (name) => (casts.get(name)?.at === 'output' ? rename(name) : name);
  graph.splice((field) => {
    const { node, tensor, value } = field;
    if (node) return renameInNode(readerOf(field), rename);
    if (tensor) return renameTensor(readerOf(field), renameOutput);
    const cast = value && casts.get(value.name);
    return cast && withDtype(readerOf(field), cast.outsideDtype);
  });
  graph.prepend(GRAPH.node, castNodes(casts, 'input'));
  graph.append(GRAPH.node, castNodes(casts, 'output'));
}

const castNodes = (casts: ReadonlyMap<string, BoundaryCast>, at: BoundaryCast['at']): Uint8Array[] =>
  [...casts]
    .filter(([, cast]) => cast.at === at)
    .map(([name, { insideName, insideDtype, outsideDtype }]) =>
      at === 'input' ? castNode(name, insideName, insideDtype) : castNode(insideName, name, outsideDtype),
    );

const castNode = (input: string, output: string, to: DType): Uint8Array =>
  NodeProto.encode({
    name: `${output}/Cast`,
    opType: 'Cast',
    input: [input],
    output: [output],
    attribute: [{ name: 'to', type: ATTRIBUTE_TYPE.INT, i: ONNX_DTYPE[to] }],
  }).finish();
