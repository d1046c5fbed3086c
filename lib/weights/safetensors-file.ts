/** Safetensors files on disk: opening one reads its header only, and a tensor is read when it is asked for. */
import { WeightsError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic.js';
import { openRanged, type RangedFile } from '../files/read.js';
import { nearestName } from '../nearest.js';
import { tensorFromBytes, type TensorData } from '../tensor.js';
import {
  parseSafetensorsHeader,
  safetensorsHeaderSize,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './safetensors-header.js';
import { encodeSafetensors, type SafetensorsContent } from './safetensors.js';

/** The header's length, and enough to tell what another file is. */
const FIRST_BYTES = 256;

/**
 * Opens a safetensors file and checks its header. Close it when done.
 * @throws FileError `FILE_NOT_FOUND` or `FILE_UNREADABLE`
 * @throws WeightsError `SAFETENSORS_INVALID` or `UNSUPPORTED_DTYPE`
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openRanged(path);
  try {
    const prefix = await file.read(0, Math.min(FIRST_BYTES, file.size));
    const headerSize = safetensorsHeaderSize(prefix, file.size, path);
    const header = parseSafetensorsHeader(await file.read(0, headerSize), file.size, path);
    return new SafetensorsFile(file, header);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Writes a safetensors file, whole or not at all. The same content gives the same bytes.
 * @throws FileError `FILE_UNWRITABLE`
 * @throws WeightsError `SAFETENSORS_INVALID`, TensorError `TENSOR_INVALID` as {@link encodeSafetensors} does.
 */
export async function writeSafetensors(path: string, content: SafetensorsContent): Promise<void> {
  await writeFileAtomic(path, encodeSafetensors(content));
}

/** An open safetensors file; {@link openSafetensors} makes one. */
export class SafetensorsFile {
  readonly #file: RangedFile;
  readonly #header: SafetensorsHeader;

  constructor(file: RangedFile, header: SafetensorsHeader) {
    this.#file = file;
    this.#header = header;
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
