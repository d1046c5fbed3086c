/**
 * ONNX's messages as trees: the schema, a reader and a writer that allow all that protobuf's wire format can hold. They
 * share no code with lib/onnx, and have the fields that it does not read.
 * Source: onnx.proto of ONNX 1.23.
 */

/** What a field holds: a number in one of protobuf's forms, text, bytes, or a message of the type with this name. */
export type Kind = 'int' | 'float' | 'double' | 'text' | 'bytes' | MessageType;

type Row = readonly [number: number, kind: Kind];

/** A tensor's type in a TypeProto; the same fields for sparse tensors. */
const TENSOR_TYPE = [
  [1, 'int'],
  [2, 'Shape'],
] as const;
const ENTRY = [
  [1, 'text'],
  [2, 'text'],
] as const;

/** The fields of each message. A field of any message can be there any number of times, whatever ONNX says. */
export const SCHEMA = {
  Model: [
    [1, 'int'],
    [2, 'text'],
    [3, 'text'],
    [4, 'text'],
    [5, 'int'],
    [6, 'text'],
    [7, 'Graph'],
    [8, 'OperatorSet'],
    [14, 'Entry'],
    [20, 'Training'],
    [25, 'Function'],
    [26, 'Configuration'],
  ],
  Graph: [
    [1, 'Node'],
    [2, 'text'],
    [5, 'Tensor'],
    [10, 'text'],
    [11, 'ValueInfo'],
    [12, 'ValueInfo'],
    [13, 'ValueInfo'],
    [14, 'Quantization'],
    [15, 'SparseTensor'],
    [16, 'Entry'],
  ],
  Node: [
    [1, 'text'],
    [2, 'text'],
    [3, 'text'],
    [4, 'text'],
    [5, 'Attribute'],
    [6, 'text'],
    [7, 'text'],
    [8, 'text'],
    [9, 'Entry'],
    [10, 'NodeDevice'],
  ],
  Attribute: [
    [1, 'text'],
    [2, 'float'],
    [3, 'int'],
    [4, 'text'],
    [5, 'Tensor'],
    [6, 'Graph'],
    [7, 'float'],
    [8, 'int'],
    [9, 'text'],
    [10, 'Tensor'],
    [11, 'Graph'],
    [13, 'text'],
    [14, 'Type'],
    [15, 'Type'],
    [20, 'int'],
    [21, 'text'],
    [22, 'SparseTensor'],
    [23, 'SparseTensor'],
  ],
  Tensor: [
    [1, 'int'],
    [2, 'int'],
    [3, 'Segment'],
    [4, 'float'],
    [5, 'int'],
    [6, 'bytes'],
    [7, 'int'],
    [8, 'text'],
    [9, 'bytes'],
    [10, 'double'],
    [11, 'int'],
    [12, 'text'],
    [13, 'Entry'],
    [14, 'int'],
    [16, 'Entry'],
  ],
  SparseTensor: [
    [1, 'Tensor'],
    [2, 'Tensor'],
    [3, 'int'],
  ],
  Segment: [
    [1, 'int'],
    [2, 'int'],
  ],
  ValueInfo: [
    [1, 'text'],
    [2, 'Type'],
    [3, 'text'],
    [4, 'Entry'],
  ],
  Type: [
    [1, 'TensorType'],
    [4, 'ListType'],
    [5, 'MapType'],
    [6, 'text'],
    [7, 'Opaque'],
    [8, 'TensorType'],
    [9, 'ListType'],
  ],
  TensorType: TENSOR_TYPE,
  ListType: [[1, 'Type']],
  MapType: [
    [1, 'int'],
    [2, 'Type'],
  ],
  Opaque: ENTRY,
  Shape: [[1, 'Dim']],
  Dim: [
    [1, 'int'],
    [2, 'text'],
    [3, 'text'],
  ],
  OperatorSet: [
    [1, 'text'],
    [2, 'int'],
  ],
  Function: [
    [1, 'text'],
    [4, 'text'],
    [5, 'text'],
    [6, 'text'],
    [7, 'Node'],
    [8, 'text'],
    [9, 'OperatorSet'],
    [10, 'text'],
    [11, 'Attribute'],
    [12, 'ValueInfo'],
    [13, 'text'],
    [14, 'Entry'],
  ],
  Training: [
    [1, 'Graph'],
    [2, 'Graph'],
    [3, 'Entry'],
    [4, 'Entry'],
  ],
  Quantization: [
    [1, 'text'],
    [2, 'Entry'],
  ],
  Configuration: [
    [1, 'text'],
    [2, 'int'],
    [3, 'text'],
  ],
  NodeDevice: [
    [1, 'text'],
    [2, 'Sharding'],
    [3, 'int'],
  ],
  Sharding: [
    [1, 'text'],
    [2, 'int'],
    [3, 'IntEntry'],
    [4, 'ShardedDim'],
  ],
  ShardedDim: [
    [1, 'int'],
    [2, 'SimpleSharding'],
  ],
  SimpleSharding: [
    [1, 'int'],
    [2, 'text'],
    [3, 'int'],
  ],
  IntEntry: [
    [1, 'int'],
    [2, 'int'],
  ],
  Entry: ENTRY,
} as const satisfies Record<string, readonly (readonly [number, string])[]>;

export type MessageType = keyof typeof SCHEMA;

export const MESSAGE_TYPES = Object.keys(SCHEMA) as MessageType[];

export const rowsOf = (type: MessageType): readonly Row[] => SCHEMA[type];

/** A message that can be changed in place. */
export interface Message {
  readonly type: MessageType;
  readonly fields: Field[];
}

export interface Field {
  readonly number: number;
  /** protobuf's wire type. */
  wire: number;
  /** A number if the wire type is 0, otherwise the content of the field. */
  value: bigint | Uint8Array | Message;
}

export const isMessage = (value: Field['value']): value is Message =>
  typeof value === 'object' && !(value instanceof Uint8Array);

/** The wire type of each kind that is not a message. */
export const WIRES = { int: 0, double: 1, text: 2, bytes: 2, float: 5 } as const;

export const kindOf = (type: MessageType, number: number): Kind | undefined =>
  rowsOf(type).find(([other]) => other === number)?.[1];

export const isMessageType = (kind: Kind | undefined): kind is MessageType =>
  kind !== undefined && kind in SCHEMA;

/** Reads bytes that are a right message of this type. */
export function readMessage(type: MessageType, bytes: Uint8Array): Message {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [number, wire] = [tag >> 3, tag & 7];
    if (wire === 0) {
      fields.push({ number, wire, value: varint() });
      continue;
    }
    const size = wire === 2 ? Number(varint()) : wire === 1 ? 8 : 4;
    const content = bytes.subarray(at, (at += size));
    const kind = kindOf(type, number);
    fields.push({ number, wire, value: isMessageType(kind) ? readMessage(kind, content) : content });
  }
  return { type, fields };
}

export function writeMessage(message: Message): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { number, wire, value } of message.fields) {
    parts.push(varintBytes(BigInt(number * 8 + wire)));
    if (typeof value === 'bigint') {
      parts.push(varintBytes(value));
      continue;
    }
    const content = isMessage(value) ? writeMessage(value) : value;
    if (wire === 2) parts.push(varintBytes(BigInt(content.length)));
    parts.push(content);
  }
  return Buffer.concat(parts);
}

export function varintBytes(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Uint8Array.of(...bytes, Number(rest));
}

type Content = bigint | number | string | Uint8Array | Message;

/** Returns a message with these contents by field number; a list is a repeated field, floats are in Float32Arrays. */
export function make(
  type: MessageType,
  contents: Readonly<Record<number, Content | readonly Content[]>>,
): Message {
  const fields: Field[] = [];
  for (const [key, content] of Object.entries(contents)) {
    const list = Array.isArray(content) ? (content as readonly Content[]) : [content as Content];
    for (const item of list) {
      const number = Number(key);
      if (typeof item === 'number') fields.push({ number, wire: 0, value: BigInt(item) });
      else if (typeof item === 'bigint') fields.push({ number, wire: 0, value: item });
      else
        fields.push({
          number,
          wire: 2,
          value: typeof item === 'string' ? new TextEncoder().encode(item) : item,
        });
    }
  }
  return { type, fields };
}

/** Removes texts that the library does not read and that would take most of the edits: doc strings, and where a node comes from. */
export function withoutRemarks(message: Message): Message {
  const remarks: readonly number[] =
    { Node: [6, 9], Graph: [10, 16], Model: [6, 14], ValueInfo: [3, 4] }[message.type as string] ?? [];
  const fields = message.fields
    .filter(({ number }) => !remarks.includes(number))
    .map((field) => (isMessage(field.value) ? { ...field, value: withoutRemarks(field.value) } : field));
  return { type: message.type, fields };
}
