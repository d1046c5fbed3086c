/** The session of `run`: opened, run several times and described. */
import { SessionError } from '../../../errors.js';
import type { Limits } from '../../../limits.js';
import type { SessionLoweringName } from '../../../lowering/types.js';
import { Model } from '../../../onnx/model.js';
import { readModelFile } from '../../../onnx/write.js';
import { printable } from '../../../printable.js';
import { formatDuration } from '../../../quantities.js';
import { unfitSizes } from '../../../rewrite/analysis/fitting-sizes.js';
import type { Layout, Session, TensorInfo, TensorRecord } from '../../../runtime/core/contract.js';
import { requireProviders } from '../../../runtime/core/providers.js';
import { createSession } from '../../../runtime/node.js';
import { parseNames } from '../../shared/options.js';
import type { Progress } from '../../shared/progress.js';

/** The options for the session. */
export interface SessionRequest {
  /** Names of providers with commas between them, in order of preference. */
  readonly provider: string;
  readonly groupNorm?: SessionLoweringName;
  readonly layout?: Layout;
  readonly limit?: Partial<Limits>;
  /** Number of runs, at least 1. */
  readonly repeat: number;
}

/** Opens a session for the model at `path`. */
export async function openSession(
  path: string,
  { provider, groupNorm, layout, limit }: SessionRequest,
  progress: Progress,
): Promise<Session> {
  progress.step(`loading ${path}`);
  return createSession(path, {
    providers: requireProviders(parseNames(provider)),
    groupNorm,
    layout,
    limits: limit,
  });
}

/**
 * Returns the error of a run, or one with the sizes that fit where the tensors of the model do not fit together at the sizes of
 * the inputs.
 * @param path The model, which is read again: a session does not keep it.
 */
export async function withFittingSizes(
  error: unknown,
  path: string,
  inputs: readonly TensorInfo[],
  feeds: TensorRecord,
): Promise<unknown> {
  if (!(error instanceof SessionError) || error.code !== 'RUN_FAILED') return error;
  const sizes = new Map(
    inputs.flatMap(({ name, shape = [] }) =>
      shape.flatMap((dim, axis): [string, number][] => {
        const size = feeds[name]?.dims[axis];
        return typeof dim === 'string' && size !== undefined ? [[dim, size]] : [];
      }),
    ),
  );
  try {
    const unfit = unfitSizes(Model.decode(await readModelFile(path), path), sizes);
    if (unfit.length === 0) return error;
    const given = unfit.map(({ name, size }) => `${name}=${size}`).join(' and ');
    const nearby = unfit.map(({ name, fitting }) => `${name}=${fitting.join(' or ')}`).join(', ');
    const message = `${path} cannot take ${given}: it halves its input and doubles it again. Nearby fit ${nearby}`;
    return new SessionError(error.code, message, { cause: error });
  } catch {
    // A model in another format than ONNX's own.
    return error;
  }
}

interface TimedResult<T> {
  /** The result of the last run. */
  readonly result: T;
  /** Milliseconds of each run. */
  readonly times: readonly number[];
}

/**
 * Runs `action` `repeat` times. Does not count a run in which the session changes its provider, because that run also
 * loads the model again.
 */
export async function runRepeatedly<T>(
  session: Pick<Session, 'provider'>,
  repeat: number,
  progress: Progress,
  action: () => Promise<T>,
): Promise<TimedResult<T>> {
  const times: number[] = [];
  for (;;) {
    progress.step(`run ${times.length + 1} of ${repeat}`);
    const { provider } = session;
    const start = performance.now();
    const result = await action();
    if (session.provider === provider) times.push(performance.now() - start);
    if (times.length >= repeat) return { result, times };
  }
}

/** Returns how the model at `path` ran, how long it took, and why not on the providers before, as lines. */
export const describeRun = (
  path: string,
  session: Pick<Session, 'provider' | 'groupNorm' | 'layout' | 'fallbacks'>,
  times: readonly number[],
): string[] => [
  `${printable(path)} on ${describeExecution(session)}: ${describeTimes(times)}`,
  ...session.fallbacks.map(({ provider, reason }) => `  not on ${provider}: ${printable(reason)}`),
];

/** Returns `cpu, GroupNormalization as reduce-mean`: the provider, and how it runs the operator if the model has it. */
export function describeExecution({
  provider,
  groupNorm,
  layout,
}: Pick<Session, 'provider' | 'groupNorm'> & Partial<Pick<Session, 'layout'>>): string {
  if (groupNorm === undefined) return provider;
  const how = groupNorm === 'kernel' ? 'by the native kernel' : `as ${groupNorm}`;
  return `${provider}, GroupNormalization ${how}${layout === 'blocked' ? ' in blocked layout' : ''}`;
}

/** Returns the time of one run, or the fastest and the median of several. */
export function describeTimes(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const [fastest = 0] = sorted;
  if (sorted.length === 1) return formatDuration(fastest);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return `${sorted.length} runs, fastest ${formatDuration(fastest)}, median ${formatDuration(median)}`;
}
