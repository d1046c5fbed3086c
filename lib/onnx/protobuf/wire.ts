/**
 * protobuf's wire format. A reader steps from field to field and allocates nothing; the content of a field is made only
 * when it is asked for. So the cost of a file does not depend on the lengths that it claims.
 * Source: protobuf.dev/programming-guides/encoding.
 */
import { ModelError } from '../../errors.js';
import { Budget, DEFAULT_LIMITS, type Limits, NO_LIMITS, overLimit } from '../../limits.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A tag stands before each field: the field's number and its wire type. Fields of other wire types are unknown. */
export const varintTag = (field: number): number => field * 8 + VARINT;
export const fixed64Tag = (field: number): number => field * 8 + FIXED64;
export const bytesTag = (field: number): number => field * 8 + BYTES;
export const fixed32Tag = (field: number): number => field * 8 + FIXED32;

/** protobuf's own default: its implementations, ONNX Runtime's among them, refuse deeper messages. */
const MAX_DEPTH = 100;

/** The budget for bytes that were checked before. */
export const UNBOUNDED = new Budget(NO_LIMITS, 0);

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** One pass over the fields of one message. `tag`, `bytes` and so on describe the current field. */
export class WireReader {
  /** 0 before the first field. */
  tag = 0;
  readonly #source: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  /** How many messages the message lies in. */
  readonly #depth: number;
  #position: number;
  #fieldStart = 0;
  #contentStart = 0;
  #low = 0;
  #high = 0;

  private constructor(
    source: Uint8Array,
    start: number,
    end: number,
    depth: number,
    /** What the file that the message is part of may take. */
    readonly budget: Budget,
  ) {
    this.#source = source;
    this.#start = this.#position = start;
    this.#end = end;
    this.#depth = depth;
  }

  static of(bytes: Uint8Array, budget = new Budget(DEFAULT_LIMITS, bytes.byteLength)): WireReader {
    // A Node Buffer's own methods are not those of a Uint8Array.
    // The buffer of an array that was transferred cannot be viewed; the array has no elements then.
    const source =
      bytes.byteLength === 0
        ? new Uint8Array(0)
        : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new WireReader(source, 0, source.byteLength, 0, budget);
  }

  /**
   * Steps to the next field.
   * @returns Whether there is one.
   * @throws ModelError `MODEL_INVALID`.
   */
  next(): boolean {
    if (this.#position === this.#end) return false;
    this.#fieldStart = this.#position;
    this.#readVarint();
    if (this.#high !== 0 || this.#low < 8)
      throw this.#damage('a field has number 0, or a number of 2^29 or more, which protobuf does not allow');
    this.tag = this.#low;
    this.#contentStart = this.#position;
    this.#skipContent();
    return true;
  }

  /** A view of the field's content. */
  get bytes(): Uint8Array {
    return this.#source.subarray(this.#contentStart, this.#position);
  }

  /** A view of the field, with its tag and length. */
  get wholeField(): Uint8Array {
    return this.between(this.#fieldStart, this.#position);
  }

  /** Where the field begins, at its tag. */
  get fieldStart(): number {
    return this.#fieldStart;
  }

  /** Where the field ends; before the first field, where the message begins. */
  get position(): number {
    return this.#position;
  }

  /** Returns a view of the bytes between two such positions. */
  between(start: number, end: number): Uint8Array {
    return this.#source.subarray(start, end);
  }

  /** Returns a reader of the message in the field. */
  enter(): WireReader {
    const depth = this.#depth + 1;
    if (depth > MAX_DEPTH) throw this.#damage(`messages are nested more than ${MAX_DEPTH} deep`);
    return new WireReader(this.#source, this.#contentStart, this.#position, depth, this.budget);
  }

  /** Returns a new reader of the same message, before its first field. */
  rewound(): WireReader {
    return new WireReader(this.#source, this.#start, this.#end, this.#depth, this.budget);
  }

  /** Decodes the field's content as UTF-8. */
  text(): string {
    const size = this.#position - this.#contentStart;
    const most = this.budget.limits.modelNameBytes;
    if (size > most) throw tooLarge(`a name of ${size} bytes, more than ${most}`, 'modelNameBytes');
    return UTF8.decode(this.bytes);
  }

  /** Returns whether the field's content is this text, which is ASCII. */
  isText(text: string): boolean {
    const start = this.#contentStart;
    if (this.#position - start !== text.length) return false;
    for (let i = 0; i < text.length; i++) if (this.#source[start + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  /**
   * Takes a part of a limit that the file has.
   * @param what What there is too much of otherwise, for the message.
   * @throws ModelError `LIMIT_EXCEEDED`.
   */
  take(limit: keyof Limits, amount: number, what: string): void {
    if (this.budget.take(limit, amount)) return;
    throw tooLarge(`more than ${this.budget.allowed(limit)} ${what}`, limit);
  }

  /** Returns a varint as int32 or an enum: its lower half, as in protobuf. */
  int32(): number {
    return this.#low | 0;
  }

  /** Returns a varint as int64: exact within 2^53. */
  int64(): number {
    return (this.#high | 0) * 2 ** 32 + this.#low;
  }

  float(): number {
    const { buffer, byteOffset } = this.#source;
    return new DataView(buffer, byteOffset).getFloat32(this.#contentStart, true);
  }

  /** Returns a varint as uint64, exact. */
  uint64(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** Yields the elements of a packed int64 field, or the single element of an unpacked one. */
  *int64s(): Generator<number, void> {
    for (const varint of this.#varints()) yield varint.int64();
  }

  /** Yields the same elements as uint64. */
  *uint64s(): Generator<bigint, void> {
    for (const varint of this.#varints()) yield varint.uint64();
  }

  /** Yields the elements of a packed float field, or the single element of an unpacked one. */
  *floats(): Generator<number, void> {
    const { bytes } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at + 4 <= bytes.length; at += 4) yield view.getFloat32(at, true);
  }

  /** Yields the elements of a packed double field, or the single element of an unpacked one. */
  *doubles(): Generator<number, void> {
    const { bytes } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at + 8 <= bytes.length; at += 8) yield view.getFloat64(at, true);
  }

  /** Yields a reader once for each varint of a packed field, or once for an unpacked one. */
  *#varints(): Generator<WireReader, void> {
    if (this.tag % 8 === VARINT) {
      yield this;
      return;
    }
    const packed = this.enter();
    while (packed.#position < packed.#end) {
      packed.#readVarint();
      yield packed;
    }
  }

  #skipContent(): void {
    switch (this.tag % 8) {
      case VARINT:
        return this.#readVarint();
      case FIXED64:
        return this.#skip(8);
      case FIXED32:
        return this.#skip(4);
      case BYTES:
        this.#readVarint();
        this.#contentStart = this.#position;
        return this.#skip(this.#high * 2 ** 32 + this.#low);
      default:
        throw this.#damage(`wire type ${this.tag % 8} does not occur in ONNX`);
    }
  }

  #skip(size: number): void {
    if (size > this.#end - this.#position) throw this.#damage(`${size} bytes reach beyond the message's end`);
    this.#position += size;
  }

  /** Reads seven bits a byte, the lowest first, into two unsigned halves. Bits above 64 are lost, as in protobuf. */
  #readVarint(): void {
    this.#low = this.#high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#position === this.#end) throw this.#damage('a number is cut short');
      const byte = this.#source[this.#position++]!;
      const bits = byte & 0x7f;
      if (shift < 32) this.#low = (this.#low | (bits << shift)) >>> 0;
      if (shift >= 28) this.#high = (this.#high | (shift < 32 ? bits >> 4 : bits << (shift - 32))) >>> 0;
      if (byte < 0x80) return;
    }
    throw this.#damage('a number takes more than 10 bytes');
  }

  #damage(what: string): ModelError {
    return new ModelError('MODEL_INVALID', `${what}, byte ${this.#position}`);
  }
}

/** The error for a part of a model that is larger than a limit. */
export const tooLarge = (what: string, limit: keyof Limits): ModelError =>
  new ModelError('LIMIT_EXCEEDED', ...overLimit(`it has ${what}`, limit));

/**
 * The error for a message that occurs twice where ONNX has one. protobuf would merge the two. No writer writes that, so
 * it is refused, rather than read in another way than by the runtime.
 */
export const requireOnce = (where: string, field: string): ModelError =>
  new ModelError('MODEL_INVALID', `${where} has more than one '${field}'`);

/** Returns a list without room to grow: a list that grew to 1 element takes the memory of 17. */
export const exact = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? NONE : list.slice());

const NONE: readonly never[] = Object.freeze([]);

/** Names the model in the messages of ModelErrors. */
export function withContext<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause;
    const { code, message } = cause;
    const what =
      code === 'MODEL_INVALID' ? `this is not an ONNX model, or the file is damaged (${message})` : message;
    throw new ModelError(code, `${where}: ${what}`, { cause });
  }
}
