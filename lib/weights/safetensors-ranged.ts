/** Safetensors files read in parts: the header first, and a tensor when it is asked for. */
import { WeightsError } from '../errors.js';
import type { RangedFile } from '../files/ranged.js';
import { nearestName } from '../nearest.js';
import { tensorFromBytes, type TensorData } from '../tensor.js';
import {
  parseSafetensorsHeader,
  safetensorsHeaderSize,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './safetensors-header.js';

/** The header's length, and enough to tell what another file is. */
const FIRST_BYTES = 256;

/** An open safetensors file; `openSafetensors` makes one. */
export class SafetensorsFile {
  readonly #file: RangedFile;
  readonly #header: SafetensorsHeader;

  constructor(file: RangedFile, header: SafetensorsHeader) {
    this.#file = file;
    this.#header = header;
  }

  /**
   * Reads and checks the header of an open file, which is closed if there is something wrong with it.
   * @throws FileError `FILE_UNREADABLE`, WeightsError `SAFETENSORS_INVALID` or `UNSUPPORTED_DTYPE`.
   */
  static async of(file: RangedFile): Promise<SafetensorsFile> {
    const { path, size } = file;
    try {
      const prefix = await file.read(0, Math.min(FIRST_BYTES, size));
      const headerSize = safetensorsHeaderSize(prefix, size, path);
      return new SafetensorsFile(file, parseSafetensorsHeader(await file.read(0, headerSize), size, path));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** As it was opened. */
  get path(): string {
    return this.#file.path;
  }

  /** Texts by name, which the format does not interpret. */
  get metadata(): Readonly<Record<string, string>> {
    return this.#header.metadata;
  }

  /** The tensors' names, in the order in which the tensors lie in the file. */
  keys(): string[] {
    return [...this.#header.tensors.keys()];
  }

  /** Whether it holds a tensor of this name. */
  has(name: string): boolean {
    return this.#header.tensors.has(name);
  }

  /**
   * A tensor's dtype, dims and place in the file, without reading it.
   * @throws WeightsError `TENSOR_NOT_FOUND`, with the name that may have been meant.
   */
  info(name: string): SafetensorsEntry {
    const entry = this.#header.tensors.get(name);
    if (entry) return entry;
    const names = this.keys();
    const nearest = nearestName(name, names);
    const hint = nearest === undefined ? `it has ${names.length} others` : `did you mean '${nearest}'?`;
    throw new WeightsError('TENSOR_NOT_FOUND', `${this.path} has no tensor '${name}'; ${hint}`);
  }

  /**
   * Reads one tensor, and nothing else.
   * @throws WeightsError `TENSOR_NOT_FOUND`
   * @throws FileError `FILE_UNREADABLE`
   */
  async read(name: string): Promise<TensorData> {
    const { dtype, dims, start, end } = this.info(name);
    return tensorFromBytes(dtype, dims, await this.#file.read(start, end - start));
  }

  /**
   * Reads tensors, several at a time: every one if no names are given.
   * @throws WeightsError `TENSOR_NOT_FOUND`
   * @throws FileError `FILE_UNREADABLE`
   */
  async readAll(names: readonly string[] = this.keys()): Promise<Map<string, TensorData>> {
    return new Map(await Promise.all(names.map(async (name) => [name, await this.read(name)] as const)));
  }

  /** Closing twice is no error; reading after it is. */
  close(): Promise<void> {
    return this.#file.close();
  }
}
