/** One GroupNormalization alone on a provider, in each way that it can be run there. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { normalTensor, pairedRounds, quartiles, speedup, type Times } from '../../bench/statistics.js';
import {
  castTensor,
  createSession,
  encodeModel,
  GraphBuilder,
  op,
  OnnxGroupNormError,
  tensor,
  toFloat64Array,
  type FloatDType,
  type Provider,
  type Session,
  type SessionLoweringName,
  type SessionOptions,
  type TensorData,
} from '../../lib/index.js';
import { defaultTolerance } from '../../lib/parity/tolerance.js';
import { placements } from '../../lib/runtime/placement.js';
import { referenceGroupNorm } from '../../test/support/group-norm.js';
import type { InputError, Refusal, Timing } from './report.js';

const NUM_GROUPS = 32;
const EPS = 1e-5;
/** Norms in a row where time is taken, so that the copies of a call, to a GPU and back, count for little. */
export const CHAIN = 16;
/** The inputs whose error is reported, out of normal numbers of deviation 1.4. */
const INPUTS: Readonly<Record<string, (shape: readonly number[]) => TensorData>> = {
  'mean 0': (shape) => normalTensor(shape, 0),
  'mean 300': (shape) => normalTensor(shape, 300),
  'mean 1000': (shape) => normalTensor(shape, 1000),
  // Rows of which five numbers in six are the same are where one long float32 sum is off.
  'after a ReLU': (shape) => {
    const { dtype, dims, data } = normalTensor(shape, -1.4);
    return tensor(
      dtype,
      dims,
      (data as Float32Array).map((value) => Math.max(value, 0)),
    );
  },
};

export interface TimingSelection {
  readonly provider: Provider;
  readonly shapes: readonly (readonly number[])[];
  readonly dtypes: readonly FloatDType[];
  readonly ways: readonly SessionLoweringName[];
  /** What the others are compared with. */
  readonly baseline: SessionLoweringName;
  readonly rounds: number;
  progress(text: string): void;
}

export async function measureShapes(
  selection: TimingSelection,
): Promise<{ readonly timings: Timing[]; readonly refusals: Refusal[] }> {
  const timings: Timing[] = [];
  const refusals: Refusal[] = [];
  for (const shape of selection.shapes) {
    for (const dtype of selection.dtypes) {
      selection.progress(`${shape.join('×')} ${dtype}`);
      const measured = await measureShape(selection, shape, dtype);
      timings.push(...measured.timings);
      refusals.push(...measured.refusals);
    }
  }
  return { timings, refusals };
}

async function measureShape(selection: TimingSelection, shape: readonly number[], dtype: FloatDType) {
  const { provider, ways, baseline } = selection;
  const model = normModel(shape, dtype, 1);
  const inputs = Object.keys(INPUTS).map((input) => knownInput(input, shape, dtype));
  const errors = new Map<SessionLoweringName, InputError[]>();
  const refusals: Refusal[] = [];
  for (const groupNorm of ways) {
    const session = await openOrSay(model, provider, groupNorm, inputs[0]!.x);
    if (typeof session === 'string') {
      refusals.push({ shape, dtype, groupNorm, reason: session });
      continue;
    }
    errors.set(groupNorm, await errorsOf(session, inputs));
    await session.dispose();
  }
  const times = await timeChains(selection, shape, dtype, [...errors.keys()]);
  const timings: Timing[] = [];
  for (const [groupNorm, own] of errors) {
    timings.push({
      shape,
      dtype,
      groupNorm,
      ms: quartiles(times[groupNorm]!.map((time) => time / CHAIN)),
      speedup: speedup(times, groupNorm, baseline),
      errors: own,
      placement: await placementOf(model, { providers: [provider], groupNorm }, inputs[0]!.x),
    });
  }
  return { timings, refusals };
}

/** Milliseconds of a run of CHAIN norms, one after the other. */
async function timeChains(
  { provider, baseline, rounds }: TimingSelection,
  shape: readonly number[],
  dtype: FloatDType,
  ways: readonly SessionLoweringName[],
): Promise<Times> {
  if (!ways.includes(baseline))
    throw new Error(`${baseline}, the default on ${provider}, does not run there`);
  const model = normModel(shape, dtype, CHAIN);
  const x = castTensor(normalTensor(shape, 0), dtype);
  const sessions = new Map<string, Session>();
  for (const groupNorm of ways) {
    sessions.set(groupNorm, await createSession(model, { providers: [provider], strict: true, groupNorm }));
  }
  const calls = [...sessions].map(([name, session]) => [name, () => session.run({ x })] as const);
  const times = await pairedRounds(Object.fromEntries(calls), rounds);
  for (const session of sessions.values()) await session.dispose();
  return times;
}

/** Scale and bias that no rewrite can leave out. */
const affine = (channels: number, dtype: FloatDType) => {
  const vector = (at: (channel: number) => number) =>
    castTensor(
      tensor(
        'float64',
        [channels],
        Float64Array.from({ length: channels }, (_, i) => at(i)),
      ),
      dtype,
    );
  return { scale: vector((i) => 1 + (i % 8) / 16), bias: vector((i) => (i % 4) / 8) };
};

function normModel(shape: readonly number[], dtype: FloatDType, length: number): Uint8Array {
  const g = new GraphBuilder('norms');
  const { scale, bias } = affine(shape[1]!, dtype);
  const [weight, offset] = [g.constant(scale), g.constant(bias)];
  let y = g.input('x', dtype, shape);
  for (let i = 0; i < length; i++) {
    y = op.groupNormalization(g, y, weight, offset, { numGroups: NUM_GROUPS, epsilon: EPS });
  }
  g.output('y', y);
  return encodeModel(g.build(), new Map(), { lowering: 'op', opset: 21 });
}

/** A session that has run once, because some kernels refuse a shape only then; or why there is none. */
async function openOrSay(
  model: Uint8Array,
  provider: Provider,
  groupNorm: SessionLoweringName,
  x: TensorData,
): Promise<Session | string> {
  let session: Session | undefined;
  try {
    session = await createSession(model, { providers: [provider], strict: true, groupNorm });
    await session.run({ x });
    return session;
  } catch (error) {
    await session?.dispose();
    if (error instanceof OnnxGroupNormError) return error.message;
    throw error;
  }
}

interface KnownInput {
  readonly input: string;
  readonly x: TensorData;
  readonly expected: Float64Array;
}

function knownInput(input: string, shape: readonly number[], dtype: FloatDType): KnownInput {
  const x = castTensor(INPUTS[input]!(shape), dtype);
  return {
    input,
    x,
    expected: referenceGroupNorm({ x, ...affine(shape[1]!, dtype), numGroups: NUM_GROUPS, eps: EPS }),
  };
}

async function errorsOf(session: Session, inputs: readonly KnownInput[]): Promise<InputError[]> {
  const errors: InputError[] = [];
  for (const { input, x, expected } of inputs) {
    const { y } = await session.run({ x });
    errors.push({ input, ...distanceOf(toFloat64Array(y!), expected, defaultTolerance(y!.dtype)) });
  }
  return errors;
}

/** The largest distance, as it is and in units of what is allowed; null where it is not finite. */
export function distanceOf(
  actual: Float64Array,
  expected: Float64Array,
  { rtol, atol }: { readonly rtol: number; readonly atol: number },
): { readonly maxAbs: number | null; readonly excess: number | null } {
  let [maxAbs, excess] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i]! - expected[i]!);
    if (!Number.isFinite(distance)) return { maxAbs: null, excess: null };
    maxAbs = Math.max(maxAbs, distance);
    excess = Math.max(excess, distance / (atol + rtol * Math.abs(expected[i]!)));
  }
  return { maxAbs, excess };
}

/** Where ONNX Runtime put the nodes, out of the profile of a session of its own. */
async function placementOf(
  model: Uint8Array,
  options: SessionOptions,
  x: TensorData,
): Promise<Record<string, number> | null> {
  if (options.providers![0] === 'wasm') return null;
  const folder = await mkdtemp(join(tmpdir(), 'device-check-'));
  try {
    const session = await createSession(model, { ...options, profileFilePrefix: join(folder, 'run') });
    await session.run({ x });
    await session.dispose();
    const [file] = await readdir(folder);
    return file === undefined
      ? null
      : Object.fromEntries(placements(await readFile(join(folder, file), 'utf8')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
