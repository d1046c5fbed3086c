/**
 * Edits of files: of a message, anywhere in its tree, and of the bytes of any file. Each edit is plain data that fast-check
 * makes and shrinks; where it applies depends on the file.
 */
import fc from 'fast-check';
import {
  type Field,
  isMessage,
  isMessageType,
  type Kind,
  kindOf,
  type Message,
  MESSAGE_TYPES,
  type MessageType,
  rowsOf,
  WIRES,
  writeMessage,
} from './messages.js';
import { bytes, floatBytes, floats, integers, texts } from './values.js';

const place = fc.nat(2 ** 20);

/** The contents of scalar fields, by kind. */
const SCALARS: Readonly<Record<string, fc.Arbitrary<Field['value']>>> = {
  int: integers,
  float: floats.map((value) => floatBytes(value, 4)),
  double: floats.map((value) => floatBytes(value, 8)),
  // Now and then bytes that are not UTF-8.
  text: fc.oneof({ weight: 19, arbitrary: texts.map((text) => Buffer.from(text)) }, bytes),
  bytes,
};

const MAX_DEPTH = 3;
const made = new Map<string, fc.Arbitrary<Field>>();

/** Any field of a message: every field of ONNX's, with any content, to some depth. */
function fieldOf(type: MessageType, depth = MAX_DEPTH): fc.Arbitrary<Field> {
  const key = `${type} ${depth}`;
  const known = made.get(key);
  if (known) return known;
  const rows = rowsOf(type).filter(([, kind]) => depth > 0 || !isMessageType(kind));
  const field = fc.oneof(...rows.map(([number, kind]) => contentOf(number, kind, depth)));
  made.set(key, field);
  return field;
}

function contentOf(number: number, kind: Kind, depth: number): fc.Arbitrary<Field> {
  if (isMessageType(kind)) return messageOf(kind, depth - 1).map((value) => ({ number, wire: 2, value }));
  return SCALARS[kind]!.map((value) => ({ number, wire: WIRES[kind], value }));
}

/** Messages of a type with any fields. */
export function messageOf(type: MessageType, depth = MAX_DEPTH): fc.Arbitrary<Message> {
  const hasFields = depth > 0 || rowsOf(type).some(([, kind]) => !isMessageType(kind));
  if (!hasFields) return fc.constant({ type, fields: [] });
  return fc.array(fieldOf(type, depth), { maxLength: 5 }).map((fields) => ({ type, fields }));
}

/** The messages that code reads most come most often. */
const INSERTED: readonly MessageType[] = [
  ...MESSAGE_TYPES,
  ...(['Attribute', 'Attribute', 'Attribute', 'Tensor', 'Tensor', 'Node', 'Node', 'Graph', 'Dim'] as const),
];

/** An edit of a message. Places are numbers that count from the first field of the tree to the last, and begin anew. */
export type Edit =
  | {
      readonly kind: 'remove' | 'repeat' | 'swap' | 'copy' | 'wire';
      readonly at: number;
      readonly from: number;
    }
  | {
      readonly kind: 'scalar';
      readonly at: number;
      readonly values: Readonly<Record<string, Field['value']>>;
    }
  | { readonly kind: 'insert'; readonly at: number; readonly type: MessageType; readonly field: Field };

export const edits: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('remove', 'repeat', 'swap', 'copy', 'copy', 'copy', 'wire'),
      at: place,
      from: place,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('scalar'), at: place, values: fc.record(SCALARS) }),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(...INSERTED)
      .chain((type) =>
        fc.record({ kind: fc.constant('insert'), at: place, type: fc.constant(type), field: fieldOf(type) }),
      ),
  },
);

/** A field and the message that it is in. */
interface Spot {
  readonly parent: Message;
  readonly index: number;
}

function* spotsOf(message: Message): Generator<Spot> {
  for (const [index, { value }] of message.fields.entries()) {
    yield { parent: message, index };
    if (isMessage(value)) yield* spotsOf(value);
  }
}

const clone = (message: Message): Message => ({
  type: message.type,
  fields: message.fields.map((field) =>
    isMessage(field.value) ? { ...field, value: clone(field.value) } : { ...field },
  ),
});

/** Returns the message with the edits. An edit that has no place in it changes nothing. */
export function edited(source: Message, list: readonly Edit[]): Message {
  const message = clone(source);
  for (const edit of list) applyEdit(message, edit);
  return message;
}

function applyEdit(message: Message, edit: Edit): void {
  const spots = [...spotsOf(message)];
  if (edit.kind === 'insert') {
    const parents = [
      message,
      ...spots.map(({ parent, index }) => parent.fields[index]!.value).filter(isMessage),
    ];
    const fitting = parents.filter(({ type }) => type === edit.type);
    fitting[edit.at % fitting.length]?.fields.push(
      clone({ type: edit.type, fields: [edit.field] }).fields[0]!,
    );
    return;
  }
  const spot = spots[edit.at % spots.length];
  if (!spot) return;
  const { parent, index } = spot;
  const { fields } = parent;
  const field = fields[index]!;
  const kind = kindOf(parent.type, field.number);
  switch (edit.kind) {
    case 'scalar':
      if (!isMessage(field.value)) field.value = edit.values[scalarOf(kind, field)]!;
      return;
    case 'remove':
      fields.splice(index, 1);
      return;
    case 'swap':
      fields.push(...fields.splice(index, 1));
      return;
    case 'repeat':
      for (let i = 0; i < REPEATS[edit.from % REPEATS.length]!; i++) fields.push(copyOf(field));
      return;
    case 'wire':
      field.value = isMessage(field.value) ? writeMessage(field.value) : field.value;
      field.wire = edit.from % 8;
      return;
    case 'copy': {
      const others = spots
        .map((other) => ({ from: other.parent.fields[other.index]!, type: other.parent.type }))
        .filter(({ from, type }) => kindOf(type, from.number) === kind && from.wire === field.wire);
      field.value = copyOf(others[edit.from % others.length]!.from).value;
    }
  }
}

/** How often a field is repeated: most often once, and rarely so often that quadratic work shows. */
const REPEATS = [...Array<number>(40).fill(1), ...Array<number>(30).fill(2), 7, 7, 60, 60, 60, 500, 30_000];

const copyOf = (field: Field): Field => clone({ type: 'Entry', fields: [field] }).fields[0]!;

/** The kind of a scalar field. A packed field holds bytes, and so does a field that has got another wire type. */
function scalarOf(kind: Kind | undefined, { wire }: Field): string {
  if (wire === 0) return 'int';
  if (wire === 1) return 'double';
  if (wire === 5) return 'float';
  return kind === 'text' ? 'text' : 'bytes';
}

/** Damage to the bytes of a file of any format. */
export interface Damage {
  readonly kind: 'cut' | 'flip' | 'number' | 'remove' | 'insert' | 'repeat' | 'digits';
  readonly at: number;
  readonly size: number;
  readonly number: bigint;
}

export const damages: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom('cut', 'flip', 'number', 'remove', 'insert', 'repeat', 'digits'),
  // Half of the damage is at the start, where the headers are.
  at: fc.oneof(fc.nat(128), place),
  size: fc.nat(63),
  number: integers,
});

/** Returns the bytes with the damage. */
export const damaged = (source: Uint8Array, list: readonly Damage[]): Uint8Array =>
  list.reduce(applyDamage, source);

function applyDamage(source: Uint8Array, { kind, at: place, size, number }: Damage): Uint8Array {
  const at = place % (source.length + 1);
  const start = source.subarray(0, at);
  const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
  switch (kind) {
    case 'cut':
      return start.slice();
    case 'flip': {
      const copy = source.slice();
      if (at < copy.length) copy[at]! ^= 1 << (size % 8);
      return copy;
    }
    case 'number': {
      const wide = new Uint8Array(8);
      new DataView(wide.buffer).setBigUint64(0, BigInt.asUintN(64, number), size % 2 === 0);
      const added = wide.subarray(0, [1, 2, 4, 8][size % 4]);
      return join(start, added, source.subarray(at + added.length));
    }
    case 'remove':
      return join(start, source.subarray(at + 1 + size));
    case 'insert':
      return join(start, new Uint8Array(1 + size).fill(Number(number & 0xffn)), source.subarray(at));
    case 'repeat':
      return join(start, source.subarray(at, at + 1 + size), source.subarray(at));
    case 'digits': {
      const text = Buffer.from(source).toString('latin1');
      const matches = [...text.matchAll(/\d+/g)];
      const match = matches[place % matches.length];
      if (!match) return source;
      const rest = source.subarray(match.index + match[0].length);
      return join(source.subarray(0, match.index), Buffer.from(String(number)), rest);
    }
  }
}
