/**
 * protobuf's wire format, read without making anything: a reader steps from field to field, and what a field
 * holds is made only when it is asked for. So what a file costs does not depend on what its lengths claim.
 * Source: protobuf.dev/programming-guides/encoding.
 */
import { ModelError } from '../errors.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A tag is what stands before a field: its number and how it is written. A field written otherwise is another one. */
export const varintTag = (field: number): number => field * 8 + VARINT;
export const fixed64Tag = (field: number): number => field * 8 + FIXED64;
export const bytesTag = (field: number): number => field * 8 + BYTES;
export const fixed32Tag = (field: number): number => field * 8 + FIXED32;

/** protobuf's own default: deeper messages are refused by its implementations, ONNX Runtime's among them. */
const MAX_DEPTH = 100;

/** Some 40 for each of 200,000 nodes. It bounds what a file of fields and no weights costs, and fits a Set. */
const MAX_FIELDS = 2 ** 23;

/** Of a name. Node.js makes no string of the size that a file can have. */
const MAX_TEXT_BYTES = 2 ** 20;

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Where a message is nested, and how many fields may still be read of the outermost one. */
interface Budget {
  readonly depth: number;
  readonly fields: { left: number };
}

/** One pass over the fields of one message. `tag`, `bytes` and the like are those of the field that it stands on. */
export class WireReader {
  /** 0 before the first field. */
  tag = 0;
  readonly #source: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  readonly #budget: Budget;
  #position: number;
  #recordStart = 0;
  #contentStart = 0;
  #low = 0;
  #high = 0;

  private constructor(source: Uint8Array, start: number, end: number, budget: Budget) {
    this.#source = source;
    this.#start = this.#position = start;
    this.#end = end;
    this.#budget = budget;
  }

  static of(bytes: Uint8Array): WireReader {
    // A Node Buffer's own methods are not those of a Uint8Array.
    const source = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new WireReader(source, 0, source.byteLength, { depth: 0, fields: { left: MAX_FIELDS } });
  }

  /**
   * Steps to the next field.
   * @returns Whether there is one.
   * @throws ModelError `MODEL_INVALID`, or `MODEL_UNSUPPORTED` if there are too many.
   */
  next(): boolean {
    if (this.#position === this.#end) return false;
    if (this.#budget.fields.left-- === 0) throw tooLarge(`more than ${MAX_FIELDS} fields`);
    this.#recordStart = this.#position;
    this.#readVarint();
    if (this.#high !== 0 || this.#low < 8) throw this.#damage('no field has number 0 or one above 2^29');
    this.tag = this.#low;
    this.#contentStart = this.#position;
    this.#skipContent();
    return true;
  }

  /** The field's content, as a view. */
  get bytes(): Uint8Array {
    return this.#source.subarray(this.#contentStart, this.#position);
  }

  /** Where the field begins, with its tag. */
  get recordStart(): number {
    return this.#recordStart;
  }

  /** Where the field ends; before the first field, where the message begins. */
  get position(): number {
    return this.#position;
  }

  /** What lies between two of these places, as a view. */
  between(start: number, end: number): Uint8Array {
    return this.#source.subarray(start, end);
  }

  /** The field's content as a message. */
  enter(): WireReader {
    const depth = this.#budget.depth + 1;
    if (depth > MAX_DEPTH) throw this.#damage(`messages are nested more than ${MAX_DEPTH} deep`);
    const budget = { depth, fields: this.#budget.fields };
    return new WireReader(this.#source, this.#contentStart, this.#position, budget);
  }

  /** A reader of the same message, at its beginning, for another look some other time. */
  again(): WireReader {
    const budget = { ...this.#budget, fields: { left: MAX_FIELDS } };
    return new WireReader(this.#source, this.#start, this.#end, budget);
  }

  /** The field's content as UTF-8. */
  text(): string {
    const size = this.#position - this.#contentStart;
    if (size > MAX_TEXT_BYTES) throw tooLarge(`a name of ${size} bytes, more than ${MAX_TEXT_BYTES}`);
    return UTF8.decode(this.bytes);
  }

  /** A varint as int32 or an enum: protobuf takes its lower half. */
  int32(): number {
    return this.#low | 0;
  }

  /** A varint as int64: exact within 2^53. */
  int64(): number {
    return (this.#high | 0) * 2 ** 32 + this.#low;
  }

  float(): number {
    const { buffer, byteOffset } = this.#source;
    return new DataView(buffer, byteOffset).getFloat32(this.#contentStart, true);
  }

  /** A varint as its 64 bits, exact, of which the uppermost is no sign. */
  uint64(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** The elements of a packed int64 field, or the one of a field that is not packed. */
  *int64s(): Generator<number, void> {
    for (const varint of this.#varints()) yield varint.int64();
  }

  /** The same as {@link uint64} has them. */
  *uint64s(): Generator<bigint, void> {
    for (const varint of this.#varints()) yield varint.uint64();
  }

  /** The elements of a packed float field, or the one of a field that is not packed. */
  *floats(): Generator<number, void> {
    const { bytes } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at + 4 <= bytes.length; at += 4) yield view.getFloat32(at, true);
  }

  /** The elements of a packed double field, or the one of a field that is not packed. */
  *doubles(): Generator<number, void> {
    const { bytes } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at + 8 <= bytes.length; at += 8) yield view.getFloat64(at, true);
  }

  /** A reader that has just read one varint after the other of a packed field, or the one that is not packed. */
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
        throw this.#damage(`wire type ${this.tag % 8} is none of ONNX's`);
    }
  }

  #skip(size: number): void {
    if (size > this.#end - this.#position) throw this.#damage(`${size} bytes reach beyond the message's end`);
    this.#position += size;
  }

  /** Seven bits a byte, the lowest first, into two unsigned halves. What is above 64 bits is lost, as in protobuf. */
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

/** For what no model in use has: it would cost more than the file's size. */
export const tooLarge = (what: string): ModelError =>
  new ModelError('MODEL_UNSUPPORTED', `the model has ${what}; that is not supported`);

/**
 * protobuf takes a message that occurs twice, where there is one, for two parts of it. No writer writes that, so it
 * is refused, rather than read in another way than the runtime reads it.
 */
export const requireOnce = (where: string, field: string): ModelError =>
  new ModelError('MODEL_INVALID', `${where} has more than one '${field}'`);
