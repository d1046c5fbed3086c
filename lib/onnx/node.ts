/** Nodes of existing models. */
import { ATTRIBUTE, NODE } from './schema.js';
import { ATTRIBUTE_TYPE } from './proto.js';
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
  return { name, opType, domain, inputs, outputs, number: (key) => findNumber(node.again(), key) };
}

function findNumber(node: WireReader, name: string): number | undefined {
  while (node.next()) {
    if (node.tag !== NODE.attribute) continue;
    const attribute = readAttribute(node.enter());
    if (attribute.name === name) return attribute.number;
  }
  return undefined;
}

const { INT, FLOAT }: Readonly<Record<'INT' | 'FLOAT', number>> = ATTRIBUTE_TYPE;

function readAttribute(attribute: WireReader): { name: string; number: number | undefined } {
  let [name, type, int, float] = ['', 0, 0, 0];
  while (attribute.next()) {
    if (attribute.tag === ATTRIBUTE.name) name = attribute.text();
    else if (attribute.tag === ATTRIBUTE.type) type = attribute.int32();
    else if (attribute.tag === ATTRIBUTE.i) int = attribute.int64();
    else if (attribute.tag === ATTRIBUTE.f) float = attribute.float();
  }
  if (type === INT) return { name, number: int };
  return { name, number: type === FLOAT ? float : undefined };
}
