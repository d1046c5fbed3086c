/** Puts the inputs of requests together as one batch, takes the results apart, and compares results. */
import { toFloat64Array } from '../../half.js';
import type { AllocatedTensor, AnyTensorRecord, RunResults, Session } from '../../runtime/core/contract.js';
import { disposableResults } from '../../runtime/core/owned.js';
import {
  type AnyTensor,
  copyTensor,
  type DType,
  elementCount,
  isStringTensor,
  tensor,
  type TensorData,
} from '../../tensor.js';

/** Memory for the inputs of one batch at a time, which a session reads in place. It grows to the largest batch. */
export class Staging {
  readonly #memory = new Map<string, AllocatedTensor>();

  constructor(readonly session: Pick<Session, 'allocate'>) {}

  /** Returns one tensor for each input, with the rows of all requests. They are valid until the next call. */
  join(requests: readonly AnyTensorRecord[], samples: number): AnyTensorRecord {
    const names = Object.keys(requests[0]!);
    return Object.fromEntries(
      names.map((name) => [
        name,
        this.#joined(
          name,
          requests.map((feeds) => feeds[name]!),
          samples,
        ),
      ]),
    );
  }

  #joined(name: string, parts: readonly AnyTensor[], samples: number): AnyTensor {
    const [first] = parts as [AnyTensor];
    const dims = [samples, ...first.dims.slice(1)];
    if (isStringTensor(first))
      return tensor(
        'string',
        dims,
        parts.flatMap(({ data }) => data as string[]),
      );
    const data = this.#take(name, first.dtype, elementCount(dims));
    let offset = 0;
    for (const part of parts as readonly TensorData[]) {
      data.set(part.data as never, offset);
      offset += part.data.length;
    }
    return { dtype: first.dtype, dims, data } as TensorData;
  }

  #take(name: string, dtype: DType, length: number): TensorData['data'] {
    const held = this.#memory.get(name);
    if (held && held.data.length >= length) return held.data.subarray(0, length);
    held?.dispose();
    this.#memory.delete(name);
    const made = this.session.allocate(dtype, [length]);
    this.#memory.set(name, made);
    return made.data;
  }

  dispose(): void {
    for (const memory of this.#memory.values()) memory.dispose();
    this.#memory.clear();
  }
}

/**
 * Returns the rows of each request, and of its outputs alone, in memory of their own: that of `session.allocate` for large
 * rows, which goes back at `dispose` and burdens no garbage collector.
 */
export function takeRows(
  session: Pick<Session, 'allocate'>,
  results: AnyTensorRecord,
  requests: readonly {
    readonly samples: number;
    readonly fetches: readonly string[];
  }[],
): RunResults<AnyTensorRecord>[] {
  let from = 0;
  return requests.map(({ samples, fetches }) => {
    const allocated: AllocatedTensor[] = [];
    const rows = fetches.map((name) => {
      const part = rowsOf(results[name]!, from, samples);
      if (isStringTensor(part) || part.data.byteLength < LARGE) return [name, copyTensor(part)] as const;
      const own = session.allocate(part.dtype, part.dims);
      own.data.set(part.data as never);
      allocated.push(own);
      return [name, { dtype: own.dtype, dims: own.dims, data: own.data } as TensorData] as const;
    });
    from += samples;
    return disposableResults(Object.fromEntries(rows), [], () => allocated.forEach((one) => one.dispose()));
  });
}

/** From how many bytes rows lie outside of the JavaScript heap. */
const LARGE = 2 ** 16;

/** Returns a view of some rows. */
function rowsOf({ dtype, dims, data }: AnyTensor, from: number, samples: number): AnyTensor {
  const rest = dims.slice(1);
  const length = elementCount(rest);
  const [begin, end] = [from * length, (from + samples) * length];
  const rows = dtype === 'string' ? data.slice(begin, end) : data.subarray(begin, end);
  return { dtype, dims: [samples, ...rest], data: rows } as AnyTensor;
}

/** Whether every result has one row for each sample. */
export const hasRows = (results: AnyTensorRecord, samples: number): boolean =>
  Object.values(results).every(({ dims }) => dims[0] === samples);

/** How far results may be from each other, as a share of the largest value, and for how many of them. */
const NEAR = 0.01;
const MOST_FAR = 0.01;

/**
 * Whether results of the same samples are the same but for rounding. An argmax may differ in a few elements; values that other
 * samples have changed differ in most.
 */
export const areAlike = (a: AnyTensorRecord, b: AnyTensorRecord): boolean =>
  Object.entries(a).every(([name, value]) => tensorsAlike(value, b[name]!));

function tensorsAlike(a: AnyTensor, b: AnyTensor): boolean {
  if (a.dims.join() !== b.dims.join()) return false;
  if (isStringTensor(a) || isStringTensor(b)) return a.data.every((text, i) => text === b.data[i]);
  const [x, y] = [toFloat64Array(a), toFloat64Array(b)];
  const largest = x.reduce((most, value) => (Math.abs(value) > most ? Math.abs(value) : most), 0);
  // Infinity is near Infinity alone, and NaN near NaN.
  const isNear = (value: number, other: number) =>
    Object.is(value, other) || Math.abs(value - other) <= NEAR * largest || (value === 0 && other === 0);
  const far = x.reduce((count, value, i) => (isNear(value, y[i]!) ? count : count + 1), 0);
  return far <= MOST_FAR * x.length;
}
