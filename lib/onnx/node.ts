/** Nodes of existing models. */
import type { TensorData } from '../tensor.js';
import { ATTRIBUTE_TYPE } from './proto.js';
import { ATTRIBUTE, NODE } from './schema.js';
import { heldTensor, readTensor } from './tensors.js';
import type { WireReader } from './wire.js';

/** A node of a decoded model, as passes see it. */
export interface ModelNode {
  readonly name: string;
  readonly opType: string;
  /** `''` for the default ONNX domain. */
  readonly domain: string;
  /** Value names; `''` where an optional input is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The attribute's number, or `undefined` if the node does not have it. */
  number(attribute: string): number | undefined;
  /** The attribute's list of integers or floats, or `undefined` likewise. */
  numbers(attribute: string): readonly number[] | undefined;
  /** The attribute's text, or `undefined` likewise. */
  text(attribute: string): string | undefined;
  /** The attribute's tensor, or `undefined` likewise, and if the model does not hold its data. */
  tensor(attribute: string): TensorData | undefined;
}

/** The default ONNX domain has two names. */
export const canonicalDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

/** The node in a field. Attributes are read when they are asked for. */
export function readNode(field: WireReader): ModelNode {
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
  }
  const attribute = (key: string, type: number) => findAttribute(node.again(), key, type);
  return {
    name,
    opType,
    domain,
    inputs,
    outputs,
    number: (key) =>
      lastOf(attribute(key, INT), ATTRIBUTE.i, 0, (field) => field.int64()) ??
      lastOf(attribute(key, FLOAT), ATTRIBUTE.f, 0, (field) => field.float()),
    numbers: (key) =>
      listOf(attribute(key, INTS), [ATTRIBUTE.ints, ATTRIBUTE.packedInts], (field) => field.int64s()) ??
      listOf(attribute(key, FLOATS), [ATTRIBUTE.floats, ATTRIBUTE.packedFloats], (field) => field.floats()),
    text: (key) => lastOf(attribute(key, STRING), ATTRIBUTE.s, '', (field) => field.text()),
    tensor: (key) =>
      lastOf(attribute(key, TENSOR), ATTRIBUTE.t, undefined, (field) => heldTensor(readTensor(field))),
  };
}

const {
  INT,
  FLOAT,
  STRING,
  TENSOR,
  INTS,
  FLOATS,
}: Readonly<Record<'INT' | 'FLOAT' | 'STRING' | 'TENSOR' | 'INTS' | 'FLOATS', number>> = ATTRIBUTE_TYPE;

/** The attribute with a name, at its beginning, if it is of the type. */
function findAttribute(node: WireReader, name: string, type: number): WireReader | undefined {
  while (node.next()) {
    if (node.tag !== NODE.attribute) continue;
    const attribute = node.enter();
    if (lastOf(attribute, ATTRIBUTE.name, '', (field) => field.text()) !== name) continue;
    const found = lastOf(attribute.again(), ATTRIBUTE.type, 0, (field) => field.int32());
    return found === type ? attribute.again() : undefined;
  }
  return undefined;
}

/** What is read from the last field with a tag, or what an absent one stands for. */
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
