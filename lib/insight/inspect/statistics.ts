/** Statistics of the rows of a normalization in a run, and how far ONNX Runtime's own GroupNormalization is off there. */
import { toFloat64Array } from '../../half.js';
import { elementCount, formatShape, tensor, type TensorData } from '../../tensor.js';
import type { RowNormalizer } from './row-normalizer.js';
import type { NormInput, Rows } from './rows.js';
import type { NormalizationStatistics } from './types.js';

/** What `torch.testing.assert_close` allows for float32. */
const TOLERANCE = { rtol: 1.3e-6, atol: 1e-5 };

/** The most elements that are normalized at once, beside the rest of a longer row: ONNX Runtime makes several copies. */
const BATCH = 2 ** 20;

/** A row with its statistics in float64. */
interface Row {
  readonly values: Float64Array;
  readonly mean: number;
  /** √(variance + ε). */
  readonly deviation: number;
  readonly sumOfSquares: number;
  readonly largest: number;
}

/**
 * Returns the statistics of a value that a normalization reads, or why they are missing.
 * @param value A tensor of floats.
 */
export async function measureRows(
  value: TensorData,
  { epsilon, rowsOf }: NormInput,
  normalizer: RowNormalizer,
): Promise<NormalizationStatistics | string> {
  const rows = rowsOf(value.dims);
  const { samples, parts, groups, length } = rows;
  const elements = elementCount(value.dims);
  if (!Number.isFinite(epsilon) || epsilon < 0) return `its epsilon is ${epsilon}`;
  if (elements === 0) return 'its input has no elements in this run';
  if (![samples, parts, groups, length].every(Number.isInteger) || samples * sampleSize(rows) !== elements)
    return `its input ${formatShape(value.dims)} does not divide into its groups`;
  const errors = new ErrorOfRows(normalizer, epsilon, parts * length);
  const worst = { meanToDeviation: -1, worstRow: [0, 0], largest: 0, sumOfSquares: 0, notFinite: 0 };
  for (let sample = 0; sample < samples; sample++) {
    const values = valuesOfSample(value, sample, rows);
    for (let group = 0; group < groups; group++) {
      const row = describeRow(rowOf(values, group, rows), epsilon);
      const ratio = row.mean === 0 ? 0 : Math.abs(row.mean) / row.deviation;
      if (!Number.isFinite(row.sumOfSquares)) {
        worst.notFinite++;
        continue;
      }
      if (ratio > worst.meanToDeviation)
        Object.assign(worst, { meanToDeviation: ratio, worstRow: [sample, group] });
      worst.largest = Math.max(worst.largest, row.largest);
      worst.sumOfSquares = Math.max(worst.sumOfSquares, row.sumOfSquares);
      await errors.add(row);
    }
  }
  const count = samples * groups;
  return { rows: count, rowLength: parts * length, ...worst, ...(await errors.finish()) };
}

/** Returns the statistics of all values that a normalization reads in a run, or why they are missing. */
export function ofAll(
  results: readonly (NormalizationStatistics | string)[],
): NormalizationStatistics | string | undefined {
  const known = results.filter((one) => typeof one === 'object');
  if (known.length === 0) return results[0];
  const all = known.reduce((a, b) => ({
    ...(b.meanToDeviation > a.meanToDeviation ? b : a),
    rows: a.rows + b.rows,
    rowLength: Math.max(a.rowLength, b.rowLength),
    notFinite: a.notFinite + b.notFinite,
    largest: Math.max(a.largest, b.largest),
    sumOfSquares: Math.max(a.sumOfSquares, b.sumOfSquares),
    inlinedError: Math.max(a.inlinedError, b.inlinedError),
    inlinedToleranceUsed: Math.max(a.inlinedToleranceUsed, b.inlinedToleranceUsed),
  }));
  return all.notFinite === all.rows ? 'every row of its input has NaN or an infinity in this run' : all;
}

const sampleSize = ({ parts, groups, length }: Rows): number => parts * groups * length;

function valuesOfSample({ dtype, data }: TensorData, sample: number, rows: Rows): Float64Array {
  const size = sampleSize(rows);
  const part = data.subarray(sample * size, (sample + 1) * size);
  return toFloat64Array(tensor(dtype, [size], part));
}

function rowOf(values: Float64Array, group: number, { parts, groups, length }: Rows): Float64Array {
  if (parts === 1) return values.subarray(group * length, (group + 1) * length);
  const row = new Float64Array(parts * length);
  for (let part = 0; part < parts; part++) {
    const start = (part * groups + group) * length;
    row.set(values.subarray(start, start + length), part * length);
  }
  return row;
}

function describeRow(values: Float64Array, epsilon: number): Row {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const sumOfSquares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const deviation = Math.sqrt(sumOfSquares / values.length + epsilon);
  return { values, mean, deviation, sumOfSquares, largest };
}

/** Collects rows, and compares what a normalizer makes of them with float64. */
class ErrorOfRows {
  #rows: Row[] = [];
  #inlinedError = 0;
  #inlinedToleranceUsed = 0;

  constructor(
    readonly normalizer: RowNormalizer,
    readonly epsilon: number,
    readonly length: number,
  ) {}

  async add(row: Row): Promise<void> {
    this.#rows.push(row);
    if (this.#rows.length * this.length >= BATCH) await this.#compare();
  }

  async finish(): Promise<Pick<NormalizationStatistics, 'inlinedError' | 'inlinedToleranceUsed'>> {
    await this.#compare();
    return { inlinedError: this.#inlinedError, inlinedToleranceUsed: this.#inlinedToleranceUsed };
  }

  async #compare(): Promise<void> {
    const [rows, { length }] = [this.#rows, this];
    if (rows.length === 0) return;
    const batch = new Float32Array(rows.length * length);
    rows.forEach(({ values }, index) => batch.set(values, index * length));
    const actual = await this.normalizer.normalize(batch, length, this.epsilon);
    rows.forEach(({ values, mean, deviation }, index) => {
      for (let i = 0; i < length; i++) {
        const expected = (values[i]! - mean) / deviation;
        const error = Math.abs(actual[index * length + i]! - expected);
        // Math.max keeps NaN, which E[x²] − E[x]² makes of a variance below 0.
        this.#inlinedError = Math.max(this.#inlinedError, error);
        const allowed = TOLERANCE.atol + TOLERANCE.rtol * Math.abs(expected);
        this.#inlinedToleranceUsed = Math.max(this.#inlinedToleranceUsed, error / allowed);
      }
    });
    this.#rows = [];
  }
}
