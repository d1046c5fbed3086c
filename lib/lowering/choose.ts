import { GraphError } from '../errors.js';
import { suggestion } from '../nearest.js';
import { instanceNormLowering } from './instance-norm.js';
import { layerNormLowering } from './layer-norm.js';
import { opLowering } from './op.js';
import { reduceMeanLowering } from './reduce-mean.js';
import { LOWERING_NAMES, type Lowering, type LoweringName } from './types.js';

/** The opsets of the default ONNX domain that models can be written for. */
export const MIN_OPSET = 13;
/** The last of them. */
export const MAX_OPSET = 25;

/** The opset of a model where none is asked for: the first with the per-channel GroupNormalization. */
export const DEFAULT_OPSET = 21;

const LOWERINGS: Record<LoweringName, Lowering> = {
  op: opLowering,
  'reduce-mean': reduceMeanLowering,
  'instance-norm': instanceNormLowering,
  'layer-norm': layerNormLowering,
};

/** The lowering of an exported file where none is named: the standard operator as soon as it fits. */
export const defaultLowering = (opset: number): LoweringName => (opset >= 21 ? 'op' : 'reduce-mean');

/** The lowerings that exist at an opset. */
export const loweringsAt = (opset: number): LoweringName[] =>
  LOWERING_NAMES.filter((name) => LOWERINGS[name].minOpset <= opset);

/**
 * The lowering of a name at an opset.
 * @throws GraphError `UNSUPPORTED_OPSET`, `UNKNOWN_LOWERING`, or `LOWERING_UNAVAILABLE` where the opset is too low.
 */
export function getLowering(name: string, opset: number): Lowering {
  requireOpset(opset);
  const lowering = Object.hasOwn(LOWERINGS, name) ? LOWERINGS[name as LoweringName] : undefined;
  if (!lowering) {
    throw new GraphError(
      'UNKNOWN_LOWERING',
      `unknown lowering '${name}'${suggestion(name, LOWERING_NAMES)}; known: ${LOWERING_NAMES.join(', ')}`,
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
export function requireOpset(opset: number): void {
  if (Number.isInteger(opset) && opset >= MIN_OPSET && opset <= MAX_OPSET) return;
  throw new GraphError(
    'UNSUPPORTED_OPSET',
    `opset ${opset} is not supported; allowed: ${MIN_OPSET} to ${MAX_OPSET}`,
  );
}
