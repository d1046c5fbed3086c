import { delimited, joinChunks } from './chunks.js';
import { spliceRuns, type Replace } from './splice.js';
import { WireReader } from './wire.js';

/** The fields of a graph: as they were read, as views, but for those that were put in or changed. */
export class GraphFields {
  /** Each is of whole fields, in chunks that are joined only if they are read again. */
  #runs: Uint8Array[][];

  constructor(graph: Uint8Array) {
    this.#runs = [[graph]];
  }

  /** The graph's bytes, in order. */
  get chunks(): Uint8Array[] {
    return this.#runs.flat();
  }

  /** Visits the fields one after the other, with one and the same reader. */
  each(visit: (field: WireReader) => void): void {
    for (const reader of this.readers()) while (reader.next()) visit(reader);
  }

  /** What is read from each of the fields with a tag. */
  collect<T>(tag: number, read: (field: WireReader) => T): T[] {
    const results: T[] = [];
    this.each((field) => field.tag === tag && results.push(read(field)));
    return results;
  }

  /** Readers of all fields, each before its first one. */
  readers(): WireReader[] {
    this.#runs = this.#runs.map((run) => (run.length === 1 ? run : [joinChunks(run)]));
    return this.#runs.flat().map((run) => WireReader.of(run));
  }

  /** Puts other fields in the place of some. */
  splice(replace: Replace): void {
    const readers = this.readers();
    this.#runs = this.#runs.flatMap((run, index) => spliceRuns(readers[index]!, replace) ?? [run]);
  }

  /** Puts messages before all fields, in this order. */
  prepend(tag: number, messages: readonly Uint8Array[]): void {
    this.#runs = messages.map((message) => delimited(tag, [message])).concat(this.#runs);
  }

  append(tag: number, messages: readonly Uint8Array[]): void {
    this.#runs = this.#runs.concat(messages.map((message) => delimited(tag, [message])));
  }
}
