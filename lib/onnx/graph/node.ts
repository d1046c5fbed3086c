/** Nodes of existing models, as passes see them. */
import { DEFAULT_LIMITS } from '../../limits.js';
import type { TensorData } from '../../tensor.js';
import { ATTRIBUTE_TYPE } from '../protobuf/proto.js';
import { ATTRIBUTE, NODE } from '../protobuf/schema.js';
import { readEntry, readTensorData, readTensorHeader } from '../protobuf/tensors.js';
import { exact, tooLarge, type WireReader } from '../protobuf/wire.js';

/** A node of a decoded model. Attributes are read when they are asked for. */
export class ModelNode {
  readonly #message: WireReader | undefined;
  readonly #arguments: FindAttribute | undefined;

  constructor(
    readonly name: string,
    readonly opType: string,
    /** `''` for the default ONNX domain. */
    readonly domain: string,
    /** Names of values; `''` for an optional input that the node leaves out. */
    readonly inputs: readonly string[],
    readonly outputs: readonly string[],
    /** The node's message, if the node has attributes, metadata or an overload. */
    message: WireReader | undefined,
    /** Finds the attributes of the local function that the node lies in, to which its own may refer. */
    ofFunction?: FindAttribute,
  ) {
    this.#message = message;
    this.#arguments = ofFunction;
  }

  /** Returns the same node of a local function, in a call that gives the function these attributes. */
  within(ofFunction: FindAttribute): ModelNode {
    const { name, opType, domain, inputs, outputs } = this;
    return new ModelNode(name, opType, domain, inputs, outputs, this.#message, ofFunction);
  }

  /** Which of the local functions of one name the node calls. */
  get overload(): string {
    const node = this.#message?.rewound();
    let overload = '';
    while (node?.next()) if (node.tag === NODE.overload) overload = node.text();
    return overload;
  }

  /** Yields the bytes of the body of each branch, loop or scan: a GraphProto. */
  *bodies(): Generator<Uint8Array, void> {
    const node = this.#message?.rewound();
    while (node?.next()) {
      if (node.tag !== NODE.attribute) continue;
      const attribute = node.enter();
      while (attribute.next()) if (isBody(attribute.tag)) yield attribute.bytes;
    }
  }

  /** Returns an attribute's integer or float, or `undefined` if the node has no such attribute of that type. */
  number(attribute: string): number | undefined {
    const found = this.#find(attribute);
    if (found?.type === INT) return lastOf(found.message, ATTRIBUTE.i, 0, (field) => field.int64());
    return found?.type === FLOAT
      ? lastOf(found.message, ATTRIBUTE.f, 0, (field) => field.float())
      : undefined;
  }

  /**
   * Returns an attribute's list of integers or floats, or `undefined` as above.
   * @throws ModelError `LIMIT_EXCEEDED` for a list that is longer than any list of axes or sizes.
   */
  numbers(attribute: string): readonly number[] | undefined {
    const { modelListElements } = this.#message?.budget.limits ?? DEFAULT_LIMITS;
    const list = this.numbersUpTo(attribute, modelListElements);
    if (list !== 'longer') return list;
    const what = `an attribute '${attribute}' of more than ${modelListElements} elements, in ${this.opType} '${this.name || this.outputs[0]}'`;
    throw tooLarge(what, 'modelListElements');
  }

  /** Returns the same list, or `longer` for a list of more than `most` elements. */
  numbersUpTo(attribute: string, most: number): readonly number[] | 'longer' | undefined {
    const found = this.#find(attribute);
    if (found?.type === INTS) return listOf(found.message, INT_FIELDS, most, (field) => field.int64s());
    return found?.type === FLOATS
      ? listOf(found.message, FLOAT_FIELDS, most, (field) => field.floats())
      : undefined;
  }

  /** Returns how many integers or texts an attribute's list has; 0 if the node has no such attribute. */
  lengthOf(attribute: string): number {
    const message = this.#find(attribute)?.message;
    let length = 0;
    while (message?.next()) {
      if (message.tag === ATTRIBUTE.strings) length++;
      else if (INT_FIELDS.includes(message.tag)) length += [...message.int64s()].length;
    }
    return length;
  }

  /** Returns an attribute's text, or `undefined` as above. */
  text(attribute: string): string | undefined {
    const found = this.#find(attribute);
    return found?.type === STRING
      ? lastOf(found.message, ATTRIBUTE.s, '', (field) => field.text())
      : undefined;
  }

  /** Returns an attribute's tensor, or `undefined` as above and if the model does not hold the tensor's data. */
  tensor(attribute: string): TensorData | undefined {
    const found = this.#find(attribute);
    if (found?.type !== TENSOR) return undefined;
    return lastOf(found.message, ATTRIBUTE.t, undefined, (field) => readTensorData(readTensorHeader(field)));
  }

  /** Returns the text of the last entry of a name in the node's metadata, which exporters write for tools. */
  metadata(key: string): string | undefined {
    const node = this.#message?.rewound();
    let text: string | undefined;
    while (node?.next()) {
      if (node.tag !== NODE.metadataProps) continue;
      const entry = readEntry(node.enter());
      if (entry.key === key) text = entry.value;
    }
    return text;
  }

  /** Yields the name and the type of each attribute, without its value. */
  *attributes(): Generator<AttributeHeader, void> {
    const node = this.#message?.rewound();
    while (node?.next()) if (node.tag === NODE.attribute) yield readHeader(node.enter());
  }

  /** Returns the first attribute of each name, as a local function that the node calls reads them. */
  givenAttributes(): Map<string, Attribute> {
    const given = new Map<string, Attribute>();
    for (const [name, attribute] of attributesIn(this.#message, NODE.attribute)) {
      const own = this.#resolved(attribute);
      if (own && !given.has(name)) given.set(name, own);
    }
    return given;
  }

  #find(name: string): Attribute | undefined {
    return this.#resolved(findAttribute(this.#message, name));
  }

  /** Returns the attribute of the function's call that an attribute stands for; others as they are. */
  #resolved(found: Attribute | undefined): Attribute | undefined {
    if (!found?.reference) return found;
    const given = this.#arguments?.(found.reference);
    // Other nodes read the same attribute.
    return given?.type === found.type ? { ...given, message: given.message.rewound() } : undefined;
  }
}

/** Finds an attribute by its name. */
export type FindAttribute = (name: string) => Attribute | undefined;

/** Returns a node's first attribute of a name. The attributes are not kept: a node may have many, and few are read. */
function findAttribute(message: WireReader | undefined, name: string): Attribute | undefined {
  const node = message?.rewound();
  while (node?.next()) {
    if (node.tag !== NODE.attribute) continue;
    const attribute = node.enter();
    let [isFound, type, reference] = [name === '', 0, ''];
    while (attribute.next()) {
      if (attribute.tag === ATTRIBUTE.name) isFound = attribute.isText(name);
      else if (attribute.tag === ATTRIBUTE.type) type = attribute.int32();
      else if (attribute.tag === ATTRIBUTE.reference) reference = attribute.text();
    }
    if (isFound) return { type, reference, message: attribute.rewound() };
  }
  return undefined;
}

/** Yields the attributes of a message by their names. Their fields have the tag `tag`. */
export function* attributesIn(
  message: WireReader | undefined,
  tag: number,
): Generator<[name: string, Attribute], void> {
  const fields = message?.rewound();
  while (fields?.next()) {
    if (fields.tag !== tag) continue;
    const attribute = fields.enter();
    const { name, type, reference } = readHeader(attribute);
    yield [name, { type, reference, message: attribute.rewound() }];
  }
}

/** Returns whether a field of an attribute is the body of an If, Loop or Scan. */
export const isBody = (tag: number): boolean => tag === ATTRIBUTE.g || tag === ATTRIBUTE.graphs;

/** What an attribute says about its value. */
export interface AttributeHeader {
  readonly name: string;
  /** The declared type, one of ATTRIBUTE_TYPE; 0 if the attribute does not declare it. */
  readonly type: number;
  /** The types of the fields that hold a value. ONNX allows one, of the declared type. */
  readonly held: readonly number[];
  /** The attribute of the local function around the node that it stands for; `''` if it has a value of its own. */
  readonly reference: string;
}

function readHeader(attribute: WireReader): AttributeHeader {
  let [name, type, reference] = ['', 0, ''];
  const held: number[] = [];
  while (attribute.next()) {
    const { tag } = attribute;
    if (tag === ATTRIBUTE.name) name = attribute.text();
    else if (tag === ATTRIBUTE.type) type = attribute.int32();
    else if (tag === ATTRIBUTE.reference) reference = attribute.text();
    const holds = TYPES_OF_FIELDS.get(tag);
    if (holds !== undefined && !held.includes(holds)) held.push(holds);
  }
  return { name, type, held, reference };
}

const INT_FIELDS: readonly number[] = [ATTRIBUTE.ints, ATTRIBUTE.packedInts];
const FLOAT_FIELDS: readonly number[] = [ATTRIBUTE.floats, ATTRIBUTE.packedFloats];

/** The default ONNX domain has two names. Returns the shorter one, `''`, for both. */
export const canonicalDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

/**
 * Reads the node in a field.
 * @param onAttribute Sees the field of each attribute.
 */
export function readNode(field: WireReader, onAttribute?: (attribute: WireReader) => void): ModelNode {
  let name = '';
  let opType = '';
  let domain = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  let isKept = false;
  takePart(field, 'node');
  const node = field.enter();
  while (node.next()) {
    if (node.tag === NODE.input) inputs.push(readName(node));
    else if (node.tag === NODE.output) outputs.push(readName(node));
    else if (node.tag === NODE.name) name = node.text();
    else if (node.tag === NODE.opType) opType = node.text();
    else if (node.tag === NODE.domain) domain = canonicalDomain(node.text());
    else if (node.tag === NODE.attribute) {
      isKept = true;
      takePart(node, 'attribute');
      onAttribute?.(node);
    } else if (node.tag === NODE.metadataProps || node.tag === NODE.overload) isKept = true;
  }
  return new ModelNode(name, opType, domain, exact(inputs), exact(outputs), isKept ? node : undefined);
}

function readName(node: WireReader): string {
  takePart(node, 'name');
  return node.text();
}

/** What parts of a model count, by the memory that they take. */
export const PARTS = { node: 4, tensor: 3, value: 4, attribute: 1, name: 1, other: 1 } as const;

/** Counts a part of a model. */
export const takePart = (reader: WireReader, part: keyof typeof PARTS): void =>
  reader.take('modelParts', PARTS[part], 'nodes, tensors and other parts');

export interface Attribute {
  /** One of ATTRIBUTE_TYPE. */
  readonly type: number;
  /** The attribute of a local function that it stands for; `''` if it has a value of its own. */
  readonly reference: string;
  readonly message: WireReader;
}

const {
  INT,
  FLOAT,
  STRING,
  TENSOR,
  INTS,
  FLOATS,
}: Readonly<Record<'INT' | 'FLOAT' | 'STRING' | 'TENSOR' | 'INTS' | 'FLOATS', number>> = ATTRIBUTE_TYPE;

/** The type of the value that each field holds. */
const TYPES_OF_FIELDS: ReadonlyMap<number, number> = new Map([
  [ATTRIBUTE.f, FLOAT],
  [ATTRIBUTE.i, INT],
  [ATTRIBUTE.s, STRING],
  [ATTRIBUTE.t, TENSOR],
  [ATTRIBUTE.g, ATTRIBUTE_TYPE.GRAPH],
  [ATTRIBUTE.floats, FLOATS],
  [ATTRIBUTE.packedFloats, FLOATS],
  [ATTRIBUTE.ints, INTS],
  [ATTRIBUTE.packedInts, INTS],
  [ATTRIBUTE.strings, ATTRIBUTE_TYPE.STRINGS],
  [ATTRIBUTE.tensors, ATTRIBUTE_TYPE.TENSORS],
  [ATTRIBUTE.graphs, ATTRIBUTE_TYPE.GRAPHS],
]);

/** Reads the last field with a tag. Returns `absent` if the attribute has no such field. */
function lastOf<T>(attribute: WireReader, tag: number, absent: T, read: (field: WireReader) => T): T {
  let value = absent;
  while (attribute.next()) if (attribute.tag === tag) value = read(attribute);
  return value;
}

function listOf(
  attribute: WireReader,
  tags: readonly number[],
  most: number,
  read: (field: WireReader) => Iterable<number>,
): readonly number[] | 'longer' {
  const list: number[] = [];
  while (attribute.next()) {
    if (!tags.includes(attribute.tag)) continue;
    for (const value of read(attribute)) {
      if (list.length >= most) return 'longer';
      list.push(value);
    }
  }
  return list;
}
