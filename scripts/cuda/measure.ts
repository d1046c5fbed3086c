/** The two kinds of jobs that a worker does: one case of the parity suite, or one GroupNormalization alone, timed. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Contestants,
  normalTensor,
  pairedRounds,
  quartiles,
  speedup,
  type Times,
} from '../../bench/statistics.js';
import { getGraph } from '../../graphs/registry.js';
import {
  type CaseResult,
  castTensor,
  checkFixture,
  createSession,
  describeFailure,
  encodeModel,
  type Fixture,
  type FloatDType,
  GraphBuilder,
  OnnxGroupNormError,
  op,
  readFixture,
  type Session,
  type SessionLoweringName,
  type SessionOptions,
  tensor,
  type TensorData,
  toFloat64Array,
} from '../../lib/index.js';
import { defaultTolerance } from '../../lib/parity/compare.js';
import { placements } from '../../lib/runtime/ort-node/placement.js';
import { referenceGroupNorm } from '../../test/support/group-norm.js';
import type { CaseJob, TimingJob } from './jobs.js';
import type { CaseRow, InputError, Timing, Untimed } from './report.js';

interface Failure {
  readonly code: string;
  readonly message: string;
}

/** Codes of a provider or kernel that lacks a way to run GroupNormalization: it gives no result, and no wrong one. */
const REFUSALS = ['MODEL_REJECTED', 'PROVIDER_UNAVAILABLE'];
/** A device that has failed. CUDA then repeats the error for every later call of the process. */
const DEVICE_FAILURE = /\b(?:CUDA|CUBLAS|CUDNN|TensorRT|WebGPU|device)\b.*\b(?:failure|failed|error|lost)\b/i;

function failureOf(error: unknown): Failure {
  const code = error instanceof OnnxGroupNormError ? error.code : 'INTERNAL';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

const isRefusal = ({ code, message }: Failure): boolean =>
  REFUSALS.includes(code) && !DEVICE_FAILURE.test(message);

/** The last fixture: all jobs of a case follow one another. */
let lastFixture: Fixture | undefined;

/** Returns the row of a case, and whether its session failed in a way that may make later jobs fail too. */
export async function runCase(job: CaseJob): Promise<{ readonly row: CaseRow; readonly spoiled: boolean }> {
  const { name, file, provider, lowering, opset, asked } = job;
  if (lastFixture?.file !== file) lastFixture = await readFixture(file);
  const spec = { lowering, opset, provider, ...(asked !== null && { groupNorm: asked }) };
  const result = await checkFixture(lastFixture, spec, (graph, options, input) =>
    getGraph(graph).build(options, input),
  );
  const { error } = result;
  return { row: caseRow(name, result, asked), spoiled: error !== undefined && !isRefusal(error) };
}

/** Returns a result as a row of the report. */
export function caseRow(name: string, result: CaseResult, asked: SessionLoweringName | null): CaseRow {
  const { lowering, opset, groupNorm, passed, error, outputs } = result;
  // In the suite a refusal is a failure, because sessions must run every case.
  const isRefused = asked !== null && error !== undefined && isRefusal(error);
  const largest = Math.max(...outputs.map(({ maxAbs }) => maxAbs));
  return {
    name,
    lowering,
    opset,
    asked,
    ranAs: groupNorm ?? null,
    outcome: passed ? 'passed' : isRefused ? 'refused' : 'failed',
    error: Number.isFinite(largest) ? largest : null,
    ...(!passed && { reason: describeFailure(result) }),
  };
}

/** The groups of every timed norm. */
export const NUM_GROUPS = 32;
const EPS = 1e-5;
/** Norms in a row in a timed model, so that copies to a GPU and back are a small share of the time. */
export const CHAIN = 16;
/** The inputs in the error columns, as functions of normal numbers of mean 0 and deviation 1.4. */
const INPUTS: Readonly<Record<string, (value: number) => number>> = {
  'mean 0': (value) => value,
  'mean 300': (value) => 300 + value,
  'mean 1000': (value) => 1000 + value,
  // Five numbers in six of a row are equal here, where one long float32 sum loses accuracy.
  'after a ReLU': (value) => Math.max(value - 1.4, 0),
};

/** The numbers of the last shape: eight million of them take a second. */
let normal = normalTensor([1]);

function normalOf(shape: readonly number[]): TensorData {
  if (normal.dims.join() !== shape.join()) normal = normalTensor(shape);
  return normal;
}

/** Quartiles need at least three rounds. */
const MIN_ROUNDS = 3;

export interface Measured {
  readonly timing?: Timing;
  /** In place of the timing, where the way does not run. */
  readonly untimed?: Untimed;
  /** Whether there was an error that may make later jobs fail too. */
  readonly spoiled: boolean;
}

/** Measures speed, error and placement of one way; `problems` lists what could not be measured. */
export async function measureTiming(job: TimingJob): Promise<Measured> {
  const { provider, shape, dtype, groupNorm } = job;
  const model = normModel(shape, dtype, 1);
  const inputs = Object.keys(INPUTS).map((input) => knownInput(input, shape, dtype));
  const problems: string[] = [];
  const attempt = async <T>(what: string, action: () => Promise<T>): Promise<T | null> => {
    try {
      return await action();
    } catch (error) {
      problems.push(`${what}: ${failureOf(error).message}`);
      return null;
    }
  };
  let session: Session;
  try {
    session = await openSession(model, job, groupNorm, inputs[0]!.x);
  } catch (error) {
    const failure = failureOf(error);
    const outcome = isRefusal(failure) ? 'refused' : 'failed';
    const untimed = { shape, dtype, groupNorm, outcome, reason: failure.message } as const;
    return { untimed, spoiled: outcome === 'failed' };
  }
  const errors: InputError[] = [];
  for (const input of inputs) {
    const error = await attempt(`error, ${input.input}`, () => errorOf(session, input));
    errors.push(error ?? { input: input.input, maxAbs: null, excess: null });
  }
  await attempt('dispose', () => session.dispose());
  const times = await attempt('time', () => timeChains(job, (problem) => problems.push(problem)));
  const own = times?.[groupNorm];
  const options = { providers: [provider], groupNorm };
  const timing = {
    shape,
    dtype,
    groupNorm,
    rounds: own?.length ?? 0,
    ms: own ? quartiles(own.map((time) => time / CHAIN)) : null,
    speedup: times?.[job.baseline] ? speedup(times, groupNorm, job.baseline) : null,
    errors,
    placement: await attempt('placement', () => placementOf(model, options, inputs[0]!.x)),
    problems,
  };
  return { timing, spoiled: problems.length > 0 };
}

/** Returns the milliseconds of running CHAIN norms in a row, in this way and in the default way. */
async function timeChains(job: TimingJob, complain: (problem: string) => void): Promise<Times> {
  const { shape, dtype, groupNorm, baseline } = job;
  const model = normModel(shape, dtype, CHAIN);
  const x = castTensor(normalOf(shape), dtype);
  const sessions = new Map<string, Session>();
  try {
    sessions.set(groupNorm, await openSession(model, job, groupNorm, x));
    if (baseline !== groupNorm) {
      try {
        sessions.set(baseline, await openSession(model, job, baseline, x));
      } catch (error) {
        complain(`speed-up: ${baseline}, the default, does not run: ${failureOf(error).message}`);
      }
    }
    const calls = [...sessions].map(([name, session]) => [name, () => session.run({ x })] as const);
    const contestants = Object.fromEntries(calls);
    return await pairedRounds(contestants, await affordableRounds(job, contestants));
  } finally {
    for (const session of sessions.values()) await session.dispose();
  }
}

/** Returns how many rounds fit in half of the time that the job may take. */
async function affordableRounds({ rounds, seconds }: TimingJob, contestants: Contestants): Promise<number> {
  const start = performance.now();
  for (const run of Object.values(contestants)) await run();
  // A round makes four calls of each contestant, and the first round does not count.
  const round = 4 * (performance.now() - start);
  return Math.min(rounds, Math.max(MIN_ROUNDS, Math.floor((seconds * 500) / round) - 1));
}

/** Returns a scale and a bias that no rewrite can leave out. */
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

/** Opens a session and runs it once, because some kernels refuse a shape only in a run. */
async function openSession(
  model: Uint8Array,
  { provider }: TimingJob,
  groupNorm: SessionLoweringName,
  x: TensorData,
): Promise<Session> {
  const session = await createSession(model, { providers: [provider], strict: true, groupNorm });
  try {
    await session.run({ x });
    return session;
  } catch (error) {
    await session.dispose();
    throw error;
  }
}

interface KnownInput {
  readonly input: string;
  readonly x: TensorData;
  readonly expected: Float64Array;
}

function knownInput(input: string, shape: readonly number[], dtype: FloatDType): KnownInput {
  const values = (normalOf(shape).data as Float32Array).map(INPUTS[input]!);
  const x = castTensor(tensor('float32', shape, values), dtype);
  return {
    input,
    x,
    expected: referenceGroupNorm({ x, ...affine(shape[1]!, dtype), numGroups: NUM_GROUPS, eps: EPS }),
  };
}

async function errorOf(session: Session, { input, x, expected }: KnownInput): Promise<InputError> {
  const { y } = await session.run({ x });
  return { input, ...distanceOf(toFloat64Array(y!), expected, defaultTolerance(y!.dtype)) };
}

/** Returns the largest distance, and the largest in units of the tolerance; null where one is not finite. */
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

/** Returns how many nodes ran where, read from the profile of a separate session. */
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
