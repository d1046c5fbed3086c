/**
 * Flatbuffers: trees of tables. A table has its fields by number; where each field is stands in a second table, its vtable.
 * Source: flatbuffers.dev, "FlatBuffer Internals".
 *
 * Every read is one of a DataView, which throws a RangeError outside of the file. Tables and texts may lie in each other, so that
 * a small file could hold any number of them: what is read is counted, and a RangeError ends it.
 */

/** How many times the bytes of a file may be read: texts may have several readers. */
const MOST_READS = 16;

const UTF8 = new TextDecoder();

/** The file that tables lie in. */
class Source {
  readonly view: DataView;
  #left: number;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#left = MOST_READS * bytes.byteLength;
  }

  /** Counts bytes that are read. */
  take(length: number): void {
    this.#left -= length;
    if (this.#left < 0) throw new RangeError('tables or texts lie in each other');
  }

  /** Returns the position that an offset leads to. Offsets count from their own position. */
  follow(position: number): number {
    this.take(4);
    return position + this.view.getUint32(position, true);
  }
}

/** Returns the first table of a file. */
export const rootTable = (bytes: Uint8Array): Table => {
  const source = new Source(bytes);
  return new Table(source, source.follow(0));
};

/** A table. Each method takes the number of a field, and throws a RangeError if the field lies outside of the file. */
export class Table {
  readonly #source: Source;
  readonly #position: number;

  constructor(source: Source, position: number) {
    this.#source = source;
    this.#position = position;
  }

  /** Returns an integer of 1, 4 or 8 bytes; 0, the default of all such fields, if the table does not have it. */
  int(field: number, width: 1 | 4 | 8): number {
    const at = this.#find(field);
    if (at === undefined) return 0;
    const { view } = this.#source;
    if (width === 8) return Number(view.getBigInt64(at, true));
    return width === 4 ? view.getInt32(at, true) : view.getInt8(at);
  }

  float(field: number): number {
    const at = this.#find(field);
    return at === undefined ? 0 : this.#source.view.getFloat32(at, true);
  }

  /** Returns a text; `''` if the table does not have it. */
  text(field: number): string {
    const at = this.#find(field);
    return at === undefined ? '' : this.#textAt(at);
  }

  table(field: number): Table | undefined {
    const at = this.#find(field);
    return at === undefined ? undefined : new Table(this.#source, this.#source.follow(at));
  }

  *tables(field: number): Generator<Table, void> {
    for (const at of this.#elements(field, 4)) yield new Table(this.#source, this.#source.follow(at));
  }

  *texts(field: number): Generator<string, void> {
    for (const at of this.#elements(field, 4)) yield this.#textAt(at);
  }

  *int64s(field: number): Generator<number, void> {
    for (const at of this.#elements(field, 8)) yield Number(this.#source.view.getBigInt64(at, true));
  }

  *floats(field: number): Generator<number, void> {
    for (const at of this.#elements(field, 4)) yield this.#source.view.getFloat32(at, true);
  }

  /** Returns a view of a list of bytes. */
  bytes(field: number): Uint8Array {
    const list = this.#list(field);
    return this.#bytesAt(list.start, list.length);
  }

  /** Returns how many elements a list has. */
  lengthOf(field: number): number {
    return this.#list(field).length;
  }

  /** Returns where a field is; `undefined` if the table does not have it. */
  #find(field: number): number | undefined {
    const { view } = this.#source;
    const vtable = this.#position - view.getInt32(this.#position, true);
    const entry = 4 + 2 * field;
    if (entry + 2 > view.getUint16(vtable, true)) return undefined;
    const offset = view.getUint16(vtable + entry, true);
    return offset === 0 ? undefined : this.#position + offset;
  }

  #list(field: number): { readonly start: number; readonly length: number } {
    const at = this.#find(field);
    if (at === undefined) return { start: 0, length: 0 };
    const start = this.#source.follow(at);
    return { start: start + 4, length: this.#source.view.getUint32(start, true) };
  }

  *#elements(field: number, width: number): Generator<number, void> {
    const { start, length } = this.#list(field);
    for (let index = 0; index < length; index++) {
      this.#source.take(width);
      yield start + index * width;
    }
  }

  #textAt(at: number): string {
    const start = this.#source.follow(at);
    const length = this.#source.view.getUint32(start, true);
    this.#source.take(length);
    return UTF8.decode(this.#bytesAt(start + 4, length));
  }

  #bytesAt(start: number, length: number): Uint8Array {
    const { bytes } = this.#source;
    if (start + length > bytes.byteLength) throw new RangeError('a list reaches beyond the file');
    return bytes.subarray(start, start + length);
  }
}
