/** The outputs of `run`: a summary for the terminal, and `.npy` files. */
import { join } from 'node:path';
import { writeFilesAtomic } from '../../../files/atomic.js';
import { encodeNpy } from '../../../files/npy.js';
import { toFloat64Array } from '../../../half.js';
import { printable } from '../../../printable.js';
import { formatNumber, plural } from '../../../quantities.js';
import type { TensorInfo, TensorRecord } from '../../../runtime/core/contract.js';
import { formatShape, isFloatDType, type TensorData } from '../../../tensor.js';
import { type Column, fitTable } from '../../shared/table.js';
import { UsageError } from '../../shared/terminal.js';

/**
 * Splits the outputs of a model into tensors of numbers, and lines about the others, which `run` does not compute.
 * @throws UsageError if the model has only others.
 */
export function splitOutputs(outputs: readonly TensorInfo[]): {
  readonly numbers: readonly TensorInfo[];
  readonly others: readonly string[];
} {
  const isNumbers = ({ dtype }: TensorInfo) => dtype !== undefined && dtype !== 'string';
  const others = outputs
    .filter((info) => !isNumbers(info))
    .map(({ name, dtype }) => `output ${name}: ${dtype ? 'texts' : 'not a tensor'}, left out`);
  const numbers = outputs.filter(isNumbers);
  if (numbers.length > 0) return { numbers, others };
  throw new UsageError(
    `run prints outputs of numbers, and the model has no such output: ${others.join('; ')}`,
  );
}

/**
 * Returns the path of the `.npy` file of each output.
 * @param folder Default: the outputs are not written, and the map is empty.
 */
export function outputPaths(
  outputs: readonly { readonly name: string }[],
  folder: string | undefined,
): ReadonlyMap<string, string> {
  if (folder === undefined) return new Map();
  const names = fileNames(outputs.map(({ name }) => name));
  return new Map([...names].map(([output, file]) => [output, join(folder, file)]));
}

/**
 * Returns a file name for each output: without folders, not hidden, allowed on every file system, and different from
 * all others by more than case.
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

/**
 * Writes the outputs that have a path, all of them or none.
 * @throws FileError `FILE_UNWRITABLE`.
 */
export const writeOutputs = (outputs: TensorRecord, paths: ReadonlyMap<string, string>): Promise<void> =>
  writeFilesAtomic([...paths].map(([name, path]) => ({ path, content: encodeNpy(outputs[name]!) })));

/** Returns a table of the outputs: dtype, shape, figures, and the path of the file if there is one. */
export function outputTable(
  outputs: TensorRecord,
  paths: ReadonlyMap<string, string>,
  width: number | undefined,
): string {
  const values = Object.entries(outputs);
  const summaries = values.map(([, value]) => summarize(value));
  const columns: Column[] = [
    { head: 'output', cells: values.map(([name]) => printable(name)) },
    { head: 'dtype', cells: values.map(([, { dtype }]) => dtype), drop: 1 },
    { head: 'shape', cells: values.map(([, { dims }]) => formatShape(dims)) },
    ...['min', 'max', 'mean'].map((head, index) => ({
      head,
      cells: summaries.map((figures) => figures[index]!),
    })),
    ...(paths.size === 0
      ? []
      : [{ head: 'file', cells: values.map(([name]) => paths.get(name) ?? ''), cut: true }]),
  ];
  return fitTable(columns, width);
}

/** Returns minimum, maximum and mean of the finite elements; {@link describeNotFinite} counts the others. */
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

/** Returns lines about NaN and infinite elements, and about dtypes that `.npy` files do not have. */
export const outputNotes = (outputs: TensorRecord, paths: ReadonlyMap<string, string>): string[] =>
  Object.entries(outputs).flatMap(([name, value]) => {
    const notFinite = describeNotFinite(value);
    return [
      ...(notFinite ? [`output ${name}: ${notFinite}; min, max and mean leave them out`] : []),
      ...(value.dtype === 'bfloat16' && paths.has(name)
        ? [`output ${name}: saved as float32, because NumPy does not have bfloat16`]
        : []),
    ];
  });

/** Returns `1 of 2240 elements is NaN`, or `undefined` if all elements are finite. */
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
