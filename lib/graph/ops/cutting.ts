/** One value cut into several. Sources: ONNX operator page Split; `torch.split`. */
import { GraphError } from '../../errors.js';
import { int64Vector } from '../../tensor.js';
import type { Scope } from '../builder.js';
import {
  compatible,
  describeValue,
  formatList,
  knownOptions,
  requireIntegers,
  requireNumeric,
  requireValues,
  resolveAxis,
  scalarOption,
} from '../checks.js';
import { addDims } from '../dims.js';
import { int, string } from '../attr.js';
import type { Value } from '../types.js';

/** Options of {@link split}. */
export interface SplitOptions {
  /** The axis that is cut; a negative one counts from the end. */
  readonly axis: number;
  /** The size of each part along it, at least 0; they add up to the axis's. */
  readonly sizes: readonly number[];
}

/**
 * `x` cut along `axis` into one part for each of `sizes` (`torch.split` with a list; `torch.chunk` with equal ones).
 * @param x Any dtype, rank 1 or more. Where the size of the axis is a name, the runtime compares it with the sum.
 * @returns The parts, in order.
 * @throws OptionError, GraphError `SHAPE_MISMATCH`, `INVALID_ATTRIBUTE` or `MISSING_VALUE`.
 */
export function split(g: Scope, x: Value, options: SplitOptions): Value[] {
  const opType = 'Split';
  const { axis, sizes } = knownOptions(g, opType, options, ['axis', 'sizes']);
  requireValues(g, opType, { x });
  const along = resolveAxis(g, opType, axis, x);
  const length = Array.isArray(sizes) ? Math.max(sizes.length, 1) : 1;
  requireIntegers(g, opType, 'sizes', sizes, { length, least: 0, reason: 'one for each part' });
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (!compatible(x.shape[along]!, sum)) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${g.describe(opType)}: sizes ${formatList(sizes)} add up to ${sum}, but axis ${along} of ${describeValue(x)} is ` +
        `${x.shape[along]}`,
    );
  }
  const parts = sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(along, size) }));
  return g.node(opType, [x, g.constant(int64Vector(sizes), 'split')], { axis: int(along) }, parts);
}

// SECTION: Padding. Sources: ONNX operator page Pad; `torch.nn.functional.pad`.

const MODES = ['constant', 'reflect', 'edge'] as const;

/** Options of {@link pad}. */
export interface PadOptions {
  /**
   * Elements added at the edges, in ONNX's order: the beginnings of all dimensions, batch and channels included, then
   * all ends. At least 0; `slice` cuts.
   */
  readonly pads: readonly number[];
  /** What is added: `value`, the elements inside mirrored at the outermost, or the outermost. Default `constant`. */
  readonly mode?: (typeof MODES)[number];
  /** The number that `constant` adds. Default 0. */
  readonly value?: number;
}

/**
 * `x` with elements added around it. PyTorch lists the last dimension first, and a beginning beside its end:
 *
 * | PyTorch, of x (N, C, H, W) | options |
 * |---|---|
 * | `F.pad(x, (left, right, top, bottom))` | `pads: [0, 0, top, left, 0, 0, bottom, right]` |
 * | `F.pad(x, …, mode='reflect')` | `mode: 'reflect'` |
 * | `F.pad(x, …, mode='replicate')` | `mode: 'edge'` |
 * @param x Any float, int32 or int64, rank 1 or more.
 * @returns Each dimension D + its two pads. `reflect` needs each pad below D, `edge` a D above 0: refused here where D is
 *   a number, and by the runtime where it is a name.
 * @throws OptionError, GraphError `INVALID_ATTRIBUTE`, `INVALID_SHAPE`, `INVALID_DTYPE` or `MISSING_VALUE`.
 */
export function pad(g: Scope, x: Value, options: PadOptions): Value {
  const opType = 'Pad';
  const { pads, mode = 'constant', value } = knownOptions(g, opType, options, ['pads', 'mode', 'value']);
  requireValues(g, opType, { x });
  requireNumeric(g, opType, x);
  const reason = `a beginning and an end for each dimension of ${describeValue(x)}`;
  requireIntegers(g, opType, 'pads', pads, { length: 2 * x.rank, least: 0, reason });
  requireMode(g, mode, value);
  requireElements(g, x, pads, mode);
  const shape = x.shape.map((dim, axis) => addDims(dim, pads[axis]!, pads[axis + x.rank]!));
  const filler = mode === 'constant' ? [scalarOption(g, opType, 'value', value ?? 0, x.dtype)] : [];
  const inputs = [x, g.constant(int64Vector(pads), 'pads'), ...filler];
  return g.node(opType, inputs, { mode: string(mode) }, [{ dtype: x.dtype, shape }])[0]!;
}

function requireMode(g: Scope, mode: (typeof MODES)[number], value: number | undefined): void {
  if (!MODES.includes(mode)) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${g.describe('Pad')}: mode '${String(mode)}' is not one of ${MODES.join(', ')} (PyTorch's replicate is edge)`,
    );
  }
  if (mode === 'constant' || value === undefined) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe('Pad')}: value is for mode constant, not for ${mode}`,
  );
}

/** There must be elements to take: `reflect` takes those beside the outermost, `edge` the outermost. */
function requireElements(g: Scope, x: Value, pads: readonly number[], mode: (typeof MODES)[number]): void {
  if (mode === 'constant') return;
  const least = (size: number) => (size === 0 ? 0 : mode === 'reflect' ? size + 1 : 1);
  const fits = x.shape.every((dim, axis) => {
    const most = Math.max(pads[axis]!, pads[axis + x.rank]!);
    return typeof dim === 'string' || dim >= least(most);
  });
  if (fits) return;
  throw new GraphError(
    'INVALID_SHAPE',
    `${g.describe('Pad')}: pads ${formatList(pads)} are too large for ${describeValue(x)}: ${mode} ` +
      (mode === 'reflect' ? 'needs each below the size of its dimension' : 'needs a size above 0'),
  );
}
