/** Runs a model and measures the input of each normalization. */
import { SessionError } from '../../errors.js';
import { NO_LIMITS } from '../../limits.js';
import { Model } from '../../onnx/model.js';
import type { Platform } from '../../runtime/core/contract.js';
import { elementCount, isFloatDType, tensor, type TensorData } from '../../tensor.js';
import { RowNormalizer } from './row-normalizer.js';
import { keyOf, passOn } from '../values/inner-values.js';
import { ModelRun, type ModelRunOptions } from '../values/intermediate-values.js';
import type { Measured } from './inspect.js';
import type { FoundNormalization } from './normalizations.js';
import type { PlacedInput } from './rows.js';
import { measureRows, ofAll } from './statistics.js';
import type { NormalizationStatistics } from './types.js';

/** The most bytes of values that a run returns at once, and ONNX Runtime holds. */
const SLICE_BYTES = 2 ** 28;

/**
 * Runs a model and measures. A second run has the values in bodies and functions, and the sums that operators leave out.
 * @param model Its path or bytes.
 * @param normalizer What the result in float64 is compared with; this function disposes of it.
 * @throws What `createSession` and `session.run` throw.
 */
export async function measureNormalizations(
  platform: Platform,
  model: string | Uint8Array,
  found: readonly FoundNormalization[],
  options: ModelRunOptions,
  normalizer = new RowNormalizer(platform),
): Promise<Measured> {
  const results = new Map<FoundNormalization, (NormalizationStatistics | string)[]>();
  for (const one of found) results.set(one, typeof one.inputs === 'string' ? [one.inputs] : []);
  const readers = found.flatMap((one) =>
    typeof one.inputs === 'object' ? one.inputs.map((input) => ({ input, results: results.get(one)! })) : [],
  );
  const run = await ModelRun.open(platform, model, options);
  try {
    const isOwn = ({ input: { way, output } }: Reader) => way.length === 0 && output === undefined;
    const own = readers.filter(isOwn).map((reader) => ({ ...reader, name: reader.input.name, loops: 0 }));
    await measure(run, own, normalizer);
    const inner = readers.filter((reader) => !isOwn(reader));
    if (inner.length > 0) await measureInner(run, inner, normalizer);
    return {
      provider: run.execution.provider,
      results: new Map(
        [...results].flatMap(([one, all]) => {
          const result = ofAll(all);
          return result === undefined ? [] : [[one, result]];
        }),
      ),
    };
  } finally {
    await normalizer.dispose();
    await run.dispose();
  }
}

/** A value that a normalization reads. */
interface Reader {
  readonly input: PlacedInput;
  readonly results: (NormalizationStatistics | string)[];
}

/** A reader whose value is a value of the graph. */
interface PlacedReader extends Reader {
  readonly name: string;
  /** How many of the first axes count iterations. */
  readonly loops: number;
}

async function measure(
  run: ModelRun,
  readers: readonly PlacedReader[],
  normalizer: RowNormalizer,
): Promise<void> {
  const byName = new Map<string, PlacedReader[]>();
  for (const reader of readers) {
    const known = byName.get(reader.name);
    if (known) known.push(reader);
    else byName.set(reader.name, [reader]);
  }
  // The outputs make it a run of the whole model, also if norms read its inputs alone.
  const names = [...byName.keys(), ...run.model.outputNames];
  const measured = new Set<string>();
  for await (const tensors of run.slices(names, SLICE_BYTES))
    for (const [name, value] of tensors) {
      measured.add(name);
      for (const { input, results, loops } of byName.get(name) ?? []) {
        if (!isFloatDType(value.dtype)) results.push(`its input is ${value.dtype}`);
        else if (input.way.length > 0 && elementCount(value.dims) === 0) results.push(NOT_RUN);
        else
          for (const part of iterationsOf(value, loops))
            results.push(await measureRows(part, input, normalizer));
      }
    }
  for (const { name, input, results } of readers)
    if (!measured.has(name)) results.push(`its input '${input.name}' cannot be read: ${run.whyNot(name)}`);
}

const NOT_RUN = 'no branch or iteration of this run has its input';

/** Yields the value of each iteration. */
function* iterationsOf(value: TensorData, loops: number): Generator<TensorData, void> {
  if (loops === 0) return void (yield value);
  const [outer, dims] = [value.dims.slice(0, loops), value.dims.slice(loops)];
  const size = elementCount(dims);
  for (let at = 0; at < elementCount(outer); at++)
    yield tensor(value.dtype, dims, value.data.subarray(at * size, (at + 1) * size));
}

/** Measures values that are not values of the graph. */
async function measureInner(
  run: ModelRun,
  readers: readonly Reader[],
  normalizer: RowNormalizer,
): Promise<void> {
  const { bytes, where } = run.source;
  const model = Model.decode(bytes, where, NO_LIMITS);
  const values = readers.map(({ input }) => input);
  const places = passOn(model, run.typesForFeeds(), values);
  const placed = readers.flatMap((reader) => {
    const place = places.get(keyOf(reader.input))!;
    if (typeof place === 'object') return [{ ...reader, ...place }];
    reader.results.push(place);
    return [];
  });
  if (placed.length === 0) return;
  await run.dispose();
  try {
    const inner = await run.reopen(model.encode());
    try {
      await measure(inner, placed, normalizer);
    } finally {
      await inner.dispose();
    }
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    for (const { results } of placed)
      results.push(`ONNX Runtime does not return its input from within: ${error.message}`);
  }
}
