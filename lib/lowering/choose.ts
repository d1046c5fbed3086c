import { GraphError } from '../errors.js';
import { suggestion } from '../nearest.js';
import { contribGroupNormLowering } from './contrib-group-norm.js';
import { instanceNormLowering } from './instance-norm.js';
import { layerNormLowering } from './layer-norm.js';
import { opLowering, PER_CHANNEL_OPSET } from './op.js';
import { reduceMeanLowering } from './reduce-mean.js';
import {
  LOWERING_NAMES,
  SESSION_LOWERING_NAMES,
  type Lowering,
  type LoweringName,
  type SessionLoweringName,
} from './types.js';

/** The opsets of the default ONNX domain that models can be written for. */
export const MIN_OPSET = 13;
/** The last of them. */
export const MAX_OPSET = 25;
/**
 * The last of those that sessions rewrite models of: up to it, the lowerings' operators are what they are at
 * `MAX_OPSET` but for new dtypes (ONNX 1.23).
 */
export const MAX_SESSION_OPSET = 28;

/** The opset of a model where none is asked for: the first with the per-channel GroupNormalization. */
export const DEFAULT_OPSET = 21;

const LOWERINGS: Record<SessionLoweringName, Lowering> = {
  op: opLowering,
  'reduce-mean': reduceMeanLowering,
  'instance-norm': instanceNormLowering,
  'layer-norm': layerNormLowering,
  'contrib-group-norm': contribGroupNormLowering,
};

/** The lowering of an exported file where none is named: the standard operator as soon as it fits. */
export const defaultLowering = (opset: number): LoweringName =>
  opset >= PER_CHANNEL_OPSET ? 'op' : 'reduce-mean';

/** The lowerings that exist at an opset. */
export const loweringsAt = (opset: number): LoweringName[] =>
  LOWERING_NAMES.filter((name) => LOWERINGS[name].minOpset <= opset);

/** A lowering that a file may have. */
interface FileLowering extends Lowering {
  readonly name: LoweringName;
}

/**
 * The lowering of a name at an opset, for a file.
 * @throws GraphError `UNSUPPORTED_OPSET`, `UNKNOWN_LOWERING`, or `LOWERING_UNAVAILABLE` where the opset is too low or
 *   only a session has it.
 */
export function getLowering(name: string, opset: number): FileLowering {
  const isForSessions = (SESSION_LOWERING_NAMES as readonly string[]).includes(name);
  if (isForSessions && !(LOWERING_NAMES as readonly string[]).includes(name)) {
    throw new GraphError(
      'LOWERING_UNAVAILABLE',
      `lowering '${name}' is for sessions (groupNorm: '${name}') and not for files, which other runtimes are to run ` +
        `as well; for files there are: ${LOWERING_NAMES.join(', ')}`,
    );
  }
  return find(name, opset, LOWERING_NAMES, MAX_OPSET) as FileLowering;
}

/**
 * The lowering of a name at an opset, for a session.
 * @throws GraphError as {@link getLowering}.
 */
export const getSessionLowering = (name: string, opset: number): Lowering =>
  find(name, opset, SESSION_LOWERING_NAMES, MAX_SESSION_OPSET);

function find(
  name: string,
  opset: number,
  known: readonly SessionLoweringName[],
  maxOpset: number,
): Lowering {
  requireOpset(opset, maxOpset);
  const lowering = Object.hasOwn(LOWERINGS, name) ? LOWERINGS[name as SessionLoweringName] : undefined;
  if (!lowering) {
    throw new GraphError(
      'UNKNOWN_LOWERING',
      `unknown lowering '${name}'${suggestion(name, known)}; known: ${known.join(', ')}`,
    );
  }
  if (opset < lowering.minOpset) {
    throw new GraphError(
      'LOWERING_UNAVAILABLE',
      `lowering '${name}' needs opset ${lowering.minOpset} or later, not ${opset}; ` +
        `at opset ${opset} there are: ${loweringsAt(opset).join(', ')}`,
    );
  }
  return lowering;
}

/** @throws GraphError `UNSUPPORTED_OPSET` if models cannot be written for `opset`. */
export function requireOpset(opset: number, maxOpset = MAX_OPSET): void {
  if (Number.isInteger(opset) && opset >= MIN_OPSET && opset <= maxOpset) return;
  throw new GraphError(
    'UNSUPPORTED_OPSET',
    `opset ${opset} is not supported; allowed: ${MIN_OPSET} to ${maxOpset}`,
  );
}
