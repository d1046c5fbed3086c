/** New names for values, in nodes and in the bodies that refer to values outside of them. */
import { definedNames } from './names.js';
import { ATTRIBUTE, GRAPH, NODE, TENSOR, VALUE_INFO } from './schema.js';
import { spliceWithin, textField } from './splice.js';
import type { WireReader } from './wire.js';

/** The new name of a value, or the one that it has. */
export type Rename = (name: string) => string;

/** Renames what the node in a field takes and gives, and what its bodies take from outside. */
export const renameInNode = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => {
    if (part.tag === NODE.input || part.tag === NODE.output) return renamedField(part, rename);
    return part.tag === NODE.attribute ? renameInAttribute(part, rename) : undefined;
  });

/** Renames the tensor in a field, without a copy of its data. */
export const renameTensor = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => (part.tag === TENSOR.name ? renamedField(part, rename) : undefined));

/** Renames the value whose type the field declares. */
export const renameValueInfo = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => (part.tag === VALUE_INFO.name ? renamedField(part, rename) : undefined));

const renameInAttribute = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => {
    const isBody = part.tag === ATTRIBUTE.g || part.tag === ATTRIBUTE.graphs;
    return isBody ? renameInBodyOf(part, rename) : undefined;
  });

const renameInBodyOf = (field: WireReader, rename: Rename): Uint8Array[] | undefined => {
  const renameOuter = exceptOwn(field.enter(), rename);
  return spliceWithin(field, (part) =>
    part.tag === GRAPH.node ? renameInNode(part, renameOuter) : undefined,
  );
};

/** A name that a body gives to a value of its own is that value in it. ONNX forbids that, but not all who write it. */
function exceptOwn(body: WireReader, rename: Rename): Rename {
  const own = new Set<string>();
  while (body.next()) {
    for (const name of definedNames(body)) if (rename(name) !== name) own.add(name);
  }
  return own.size === 0 ? rename : (name) => (own.has(name) ? name : rename(name));
}

function renamedField(field: WireReader, rename: Rename): Uint8Array[] | undefined {
  const name = field.text();
  const renamed = rename(name);
  return renamed === name ? undefined : textField(field.tag, renamed);
}
