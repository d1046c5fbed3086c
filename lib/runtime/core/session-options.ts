/** The options of `createSession`, checked before a runtime could misread them or blame them on the model. */
import { OptionError, SessionError } from '../../errors.js';
import { type Limits, requireLimits } from '../../limits.js';
import { getSessionLowering, MAX_OPSET } from '../../lowering/choose.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import { requireKnownOptions } from '../../options.js';
import {
  type BackendOptions,
  EXECUTION_MODES,
  GRAPH_OPTIMIZATION_LEVELS,
  LAYOUTS,
  type Provider,
  type ProviderOptions,
  type SessionOptions,
} from './contract.js';
import { requireProviderOptions, requireProviders } from './providers.js';
import type { SessionConfig } from './workarounds.js';

const SESSION_OPTIONS: readonly (keyof SessionOptions)[] = [
  'providers',
  'strict',
  'groupNorm',
  'limits',
  'layout',
  'intraOpNumThreads',
  'interOpNumThreads',
  'executionMode',
  'freeDimensionOverrides',
  'graphOptimizationLevel',
  'allowSpinning',
  'enableCpuMemArena',
  'profileFilePrefix',
];

/** What callers who know onnxruntime's options look for. */
const HINTS = {
  executionProviders: "did you mean 'providers'?",
  deviceId: "it is an option of a provider: providers: [{ name: 'cuda', deviceId: 0 }]",
  enableProfiling: "'profileFilePrefix' alone asks for a profile",
};

/** The options of `createSession`, checked. */
export interface OpenOptions {
  readonly providers: readonly [Provider, ...Provider[]];
  /** The options of the providers that have some. */
  readonly providerOptions: ReadonlyMap<Provider, ProviderOptions>;
  /** Whether to try the first provider only. */
  readonly strict: boolean;
  readonly groupNorm: SessionLoweringName | undefined;
  readonly limits: Limits;
  readonly backend: BackendOptions;
}

/** @throws OptionError; GraphError `UNKNOWN_LOWERING`; SessionError `UNKNOWN_PROVIDER`. */
export function requireSessionOptions(options: SessionOptions, defaultProvider: Provider): OpenOptions {
  requireKnownOptions('createSession', options, SESSION_OPTIONS, HINTS);
  const { providers = [defaultProvider], strict = false, groupNorm, limits, ...backend } = options;
  ensure(typeof strict === 'boolean', `strict must be true or false, not ${String(strict)}`);
  requireBackendOptions(backend);
  if (groupNorm !== undefined) getSessionLowering(groupNorm, MAX_OPSET);
  return {
    providers: requireProviders(providers),
    providerOptions: requireProviderOptions(providers),
    strict,
    groupNorm,
    limits: requireLimits('createSession', limits),
    backend,
  };
}

/** ONNX Runtime takes 32 bits. */
const MAX_THREADS = 2 ** 31 - 1;

function requireBackendOptions(options: BackendOptions): void {
  for (const name of ['intraOpNumThreads', 'interOpNumThreads'] as const) {
    const threads = options[name];
    const isCount = threads === undefined || (Number.isSafeInteger(threads) && threads >= 1);
    ensure(
      isCount && (threads ?? 0) <= MAX_THREADS,
      `${name} must be an integer from 1 to ${MAX_THREADS}, not ${String(threads)}`,
    );
  }
  const {
    executionMode = 'sequential',
    graphOptimizationLevel = 'all',
    freeDimensionOverrides = {},
    layout = 'auto',
    allowSpinning = true,
  } = options;
  ensure(
    typeof allowSpinning === 'boolean',
    `allowSpinning must be true or false, not ${String(allowSpinning)}`,
  );
  requireOneOf('layout', layout, LAYOUTS);
  requireOneOf('executionMode', executionMode, EXECUTION_MODES);
  requireOneOf('graphOptimizationLevel', graphOptimizationLevel, GRAPH_OPTIMIZATION_LEVELS);
  const isRecord = typeof freeDimensionOverrides === 'object' && freeDimensionOverrides !== null;
  const text =
    'freeDimensionOverrides must be an object of sizes by the names of dimensions, such as { N: 1 }';
  ensure(isRecord, text);
  for (const [name, size] of Object.entries(freeDimensionOverrides)) {
    ensure(Number.isSafeInteger(size) && size >= 0, `${text}; '${name}' is ${String(size)}`);
  }
}

function requireOneOf(name: string, value: string, known: readonly string[]): void {
  ensure(known.includes(value), `${name} '${String(value)}' is unknown; known: ${known.join(', ')}`);
}

function ensure(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new OptionError('INVALID_OPTION', `createSession: ${problem}`);
}

/** Returns the entries of ONNX Runtime's session configuration for options that have no field of their own. */
export const configEntries = ({ allowSpinning = true }: BackendOptions): SessionConfig =>
  allowSpinning ? {} : { 'session.intra_op.allow_spinning': '0', 'session.inter_op.allow_spinning': '0' };

/**
 * Refuses options that a runtime does not have, so that the next provider of the list may run the model.
 * @param lacks What the runtime does not do, by the option that asks for it: `cannot write a profile`.
 * @throws SessionError `PROVIDER_UNAVAILABLE`.
 */
export function refuseOptions(
  runtime: string,
  options: BackendOptions,
  lacks: Readonly<Partial<Record<keyof BackendOptions, string>>>,
): void {
  for (const name of Object.keys(lacks) as (keyof BackendOptions)[]) {
    if (options[name] === undefined) continue;
    throw new SessionError('PROVIDER_UNAVAILABLE', `${runtime} ${lacks[name]}: leave out the option ${name}`);
  }
}
