/** Finds lowerings by name, and knows the opsets that each supports. */
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

/** The first opset of the default ONNX domain that models can be written for: 13. */
export const MIN_OPSET = 13;
/** The first opset at which parts of existing models are rewritten: from it on, Add and Mul broadcast. */
const MIN_REWRITTEN_OPSET = 7;
/** The last opset of the default ONNX domain that models can be written for: 25. */
export const MAX_OPSET = 25;
/**
 * The last opset at which parts of existing models are rewritten: up to it, the operators of the lowerings differ from those
 * at `MAX_OPSET` only by new dtypes (ONNX 1.23).
 */
const MAX_REWRITTEN_OPSET = 28;

/** The opset of a model by default: 21, the first whose GroupNormalization has scale and bias per channel. */
export const DEFAULT_OPSET = 21;

const LOWERINGS: Record<SessionLoweringName, Lowering> = {
  op: opLowering,
  'reduce-mean': reduceMeanLowering,
  'instance-norm': instanceNormLowering,
  'layer-norm': layerNormLowering,
  'contrib-group-norm': contribGroupNormLowering,
};

/** Returns the default lowering of a file: `op` from opset 21 on, `reduce-mean` below. */
export const defaultLowering = (opset: number): LoweringName =>
  opset >= PER_CHANNEL_OPSET ? 'op' : 'reduce-mean';

/** Returns the names of the lowerings that exist at an opset of the default ONNX domain. */
export const loweringsAt = (opset: number): LoweringName[] =>
  LOWERING_NAMES.filter((name) => LOWERINGS[name].minOpset <= opset);

/** A lowering that a file may have. */
interface FileLowering extends Lowering {
  readonly name: LoweringName;
}

/**
 * Finds a lowering for a file that this library builds.
 * @throws GraphError `UNSUPPORTED_OPSET`, `UNKNOWN_LOWERING`, or `LOWERING_UNAVAILABLE` where the opset is too low or
 *   only a session has it.
 */
export function getLowering(name: string, opset: number): FileLowering {
  const isForSessions = (SESSION_LOWERING_NAMES as readonly string[]).includes(name);
  if (isForSessions && !(LOWERING_NAMES as readonly string[]).includes(name)) {
    throw new GraphError(
      'LOWERING_UNAVAILABLE',
      `lowering '${name}' is for sessions (groupNorm: '${name}'), not for files, which other runtimes run as well; ` +
        `for files: ${LOWERING_NAMES.join(', ')}`,
    );
  }
  requireOpset(opset);
  return find(name, opset, LOWERING_NAMES) as FileLowering;
}

/**
 * Finds a lowering for an existing model: in a session, or in a file that is converted.
 * @throws GraphError as {@link getLowering}.
 */
export function getSessionLowering(name: string, opset: number): Lowering {
  requireRewrittenOpset(opset);
  return find(name, opset, SESSION_LOWERING_NAMES);
}

function find(name: string, opset: number, known: readonly SessionLoweringName[]): Lowering {
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
        `at opset ${opset}: ${loweringsAt(opset).join(', ')}`,
    );
  }
  return lowering;
}

/** @throws GraphError `UNSUPPORTED_OPSET` if models cannot be written for `opset`. */
export const requireOpset = (opset: number): void => requireOpsetIn(opset, MIN_OPSET, MAX_OPSET);

/** @throws GraphError `UNSUPPORTED_OPSET` if lowerings cannot be written into an existing model of `opset`. */
export const requireRewrittenOpset = (opset: number): void =>
  requireOpsetIn(opset, MIN_REWRITTEN_OPSET, MAX_REWRITTEN_OPSET);

function requireOpsetIn(opset: number, min: number, max: number): void {
  if (Number.isInteger(opset) && opset >= min && opset <= max) return;
  throw new GraphError('UNSUPPORTED_OPSET', `opset ${opset} is not supported; allowed: ${min} to ${max}`);
}
