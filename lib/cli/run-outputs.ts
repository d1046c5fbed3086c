/** A model's outputs: in figures, and as files. */
import { join } from 'node:path';
import { writeFilesAtomic } from '../files/atomic.js';
import { encodeNpy } from '../files/npy.js';
import { toFloat64Array } from '../half.js';
import type { TensorRecord } from '../runtime/index.js';
import { isFloatDType, type TensorData } from '../tensor.js';
import { formatNumber, plural } from './format.js';

/** `1 of 2240 elements is NaN`, `3 of 2240 elements are NaN or infinite`; nothing if all are finite. */
export function describeNotFinite(value: TensorData): string | undefined {
  if (!isFloatDType(value.dtype)) return undefined;
  let [nan, infinite] = [0, 0];
  for (const element of toFloat64Array(value)) {
    if (Number.isNaN(element)) nan += 1;
    else if (!Number.isFinite(element)) infinite += 1;
  }
  const count = nan + infinite;
  if (count === 0) return undefined;
  const what = infinite === 0 ? 'NaN' : nan === 0 ? 'infinite' : 'NaN or infinite';
  return `${count} of ${plural(value.data.length, 'element')} ${count === 1 ? 'is' : 'are'} ${what}`;
}

/** Smallest and largest finite element and the mean of these; {@link describeNotFinite} tells of the others. */
export function summarize(value: TensorData): [min: string, max: string, mean: string] {
  let [count, min, max, sum] = [0, Infinity, -Infinity, 0];
  for (const element of toFloat64Array(value)) {
    if (!Number.isFinite(element)) continue;
    count += 1;
    min = Math.min(min, element);
    max = Math.max(max, element);
    sum += element;
  }
  return count === 0 ? ['–', '–', '–'] : [formatNumber(min), formatNumber(max), formatNumber(sum / count)];
}

/** Where each output goes: a `.npy` file in `folder`, or nowhere if there is no folder. */
export function outputPaths(
  outputs: readonly { readonly name: string }[],
  folder: string | undefined,
): ReadonlyMap<string, string> {
  if (folder === undefined) return new Map();
  const names = fileNames(outputs.map(({ name }) => name));
  return new Map([...names].map(([output, file]) => [output, join(folder, file)]));
}

/**
 * Writes the outputs that have a path.
 * @returns The paths.
 * @throws FileError `FILE_UNWRITABLE`; then nothing has changed.
 */
export async function writeOutputs(
  outputs: TensorRecord,
  paths: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, string>> {
  await writeFilesAtomic([...paths].map(([name, path]) => ({ path, content: encodeNpy(outputs[name]!) })));
  return paths;
}

/**
 * A file name for each output: no folder, nothing hidden, nothing that a file system refuses, and no two that
 * differ in case alone.
 */
export function fileNames(outputs: readonly string[]): Map<string, string> {
  const result = new Map<string, string>();
  const taken = new Set<string>();
  for (const output of outputs) {
    const base =
      output
        .replace(/[^\w.-]/g, '_')
        .replace(/^[.-]/, '_')
        .replace(/^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i, '_$&')
        .slice(0, 200) || '_';
    let name = base;
    for (let count = 1; taken.has(name.toLowerCase()); count++) name = `${base}_${count}`;
    taken.add(name.toLowerCase());
    result.set(output, `${name}.npy`);
  }
  return result;
}
