/** Nodes of existing models, as passes see them. */
import type { TensorData } from '../tensor.js';
import { ATTRIBUTE_TYPE } from './proto.js';
import { ATTRIBUTE, NODE } from './schema.js';
import { readTensorData, readTensorHeader } from './tensors.js';
import type { WireReader } from './wire.js';

/** A node of a decoded model. Attributes are read on first use. */
export class ModelNode {
  readonly #message: WireReader;
  #attributes: ReadonlyMap<string, Attribute> | undefined;

  constructor(
    readonly name: string,
    readonly opType: string,
    /** `''` for the default ONNX domain. */
    readonly domain: string,
    /** Names of values; `''` for an optional input that the node leaves out. */
    readonly inputs: readonly string[],
    readonly outputs: readonly string[],
    message: WireReader,
  ) {
    this.#message = message;
  }

  /** Returns an attribute's integer or float, or `undefined` if the node has no such attribute of that type. */
  number(attribute: string): number | undefined {
    return (
      lastOf(this.#find(attribute, INT), ATTRIBUTE.i, 0, (field) => field.int64()) ??
      lastOf(this.#find(attribute, FLOAT), ATTRIBUTE.f, 0, (field) => field.float())
    );
  }

  /** Returns an attribute's list of integers or floats, or `undefined` as above. */
  numbers(attribute: string): readonly number[] | undefined {
    return (
      listOf(this.#find(attribute, INTS), [ATTRIBUTE.ints, ATTRIBUTE.packedInts], (field) =>
        field.int64s(),
      ) ??
      listOf(this.#find(attribute, FLOATS), [ATTRIBUTE.floats, ATTRIBUTE.packedFloats], (field) =>
        field.floats(),
      )
    );
  }

  /** Returns an attribute's text, or `undefined` as above. */
  text(attribute: string): string | undefined {
    return lastOf(this.#find(attribute, STRING), ATTRIBUTE.s, '', (field) => field.text());
  }

  /** Returns an attribute's tensor, or `undefined` as above and if the model does not hold the tensor's data. */
  tensor(attribute: string): TensorData | undefined {
    return lastOf(this.#find(attribute, TENSOR), ATTRIBUTE.t, undefined, (field) =>
      readTensorData(readTensorHeader(field)),
    );
  }

  #find(name: string, type: number): WireReader | undefined {
    const found = (this.#attributes ??= readAttributes(this.#message.rewound())).get(name);
    return found?.type === type ? found.message.rewound() : undefined;
  }
}

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
  const node = field.enter();
  while (node.next()) {
    if (node.tag === NODE.input) inputs.push(node.text());
    else if (node.tag === NODE.output) outputs.push(node.text());
    else if (node.tag === NODE.name) name = node.text();
    else if (node.tag === NODE.opType) opType = node.text();
    else if (node.tag === NODE.domain) domain = canonicalDomain(node.text());
    else if (node.tag === NODE.attribute) onAttribute?.(node);
  }
  return new ModelNode(name, opType, domain, inputs, outputs, node);
}

interface Attribute {
  /** One of ATTRIBUTE_TYPE. */
  readonly type: number;
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

/** Returns a node's attributes by name: the first one, if a name occurs twice. */
function readAttributes(node: WireReader): Map<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  while (node.next()) {
    if (node.tag !== NODE.attribute) continue;
    const message = node.enter();
    let [name, type] = ['', 0];
    while (message.next()) {
      if (message.tag === ATTRIBUTE.name) name = message.text();
      else if (message.tag === ATTRIBUTE.type) type = message.int32();
    }
    if (!attributes.has(name)) attributes.set(name, { type, message });
  }
  return attributes;
}

/** Reads the last field with a tag. Returns `absent` if the attribute has no such field. */
function lastOf<T>(
  attribute: WireReader | undefined,
  tag: number,
  absent: T,
  read: (field: WireReader) => T,
): T | undefined {
  if (!attribute) return undefined;
  let value = absent;
  while (attribute.next()) if (attribute.tag === tag) value = read(attribute);
  return value;
}

function listOf(
  attribute: WireReader | undefined,
  tags: readonly number[],
  read: (field: WireReader) => Iterable<number>,
): number[] | undefined {
  if (!attribute) return undefined;
  const list: number[] = [];
  while (attribute.next()) {
    if (tags.includes(attribute.tag)) for (const value of read(attribute)) list.push(value);
  }
  return list;
}
