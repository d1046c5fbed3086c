/** `createSession` on any platform. */
import { OptionError } from '../errors.js';
import { getSessionLowering, MAX_OPSET } from '../lowering/index.js';
import { requireKnownOptions } from '../options.js';
import { GRAPH_OPTIMIZATION_LEVELS, type BackendOptions } from './backend.js';
import { openModel } from './open-model.js';
import type { Platform } from './platform.js';
import { requireProviders } from './providers.js';
import { RuntimeSession } from './runtime-session.js';
import type { Session, SessionOptions } from './session.js';

const SESSION_OPTIONS: readonly (keyof SessionOptions)[] = [
  'providers',
  'strict',
  'groupNorm',
  'intraOpNumThreads',
  'graphOptimizationLevel',
  'enableCpuMemArena',
  'profileFilePrefix',
];

/** `createSession`, which says what it throws, on a platform. */
export async function openSession(
  platform: Platform,
  model: string | Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  requireKnownOptions('createSession', options, SESSION_OPTIONS);
  const { providers: names = [platform.defaultProvider], strict = false, groupNorm, ...backend } = options;
  if (typeof strict !== 'boolean') {
    throw new OptionError(
      'INVALID_OPTION',
      `createSession: strict must be true or false, not ${String(strict)}`,
    );
  }
  requireBackendOptions(backend);
  if (groupNorm !== undefined) getSessionLowering(groupNorm, MAX_OPSET);
  const providers = requireProviders(names);
  requireModel(model);
  const source =
    typeof model === 'string'
      ? await platform.readModel(model)
      : { bytes: model, where: 'model', folder: undefined };
  return new RuntimeSession(await openModel(platform, source, { providers, strict, groupNorm, backend }));
}

/** What a runtime would take for a fault of the model, or as something else than it says. */
function requireBackendOptions({
  intraOpNumThreads: threads,
  graphOptimizationLevel: level,
}: BackendOptions): void {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    const problem = `intraOpNumThreads must be an integer of at least 1, not ${String(threads)}`;
    throw new OptionError('INVALID_OPTION', `createSession: ${problem}`);
  }
  if (level === undefined || GRAPH_OPTIMIZATION_LEVELS.includes(level)) return;
  throw new OptionError(
    'INVALID_OPTION',
    `createSession: graphOptimizationLevel '${String(level)}' is unknown; known: ${GRAPH_OPTIMIZATION_LEVELS.join(', ')}`,
  );
}

function requireModel(model: unknown): void {
  if (typeof model === 'string' || model instanceof Uint8Array) return;
  const remedy = model instanceof ArrayBuffer ? ': new Uint8Array(buffer) makes one of it' : '';
  throw new OptionError(
    'INVALID_OPTION',
    `createSession takes a path or a Uint8Array, not ${Object.prototype.toString.call(model).slice(8, -1)}${remedy}`,
  );
}
