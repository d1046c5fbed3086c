/** The sizes of inputs that a model can take, where its Concat nodes join what was halved and doubled again. */
import type { Model } from '../../onnx/model.js';
import { evaluateDim } from '../../shapes/dims.js';
import { type Dim, UNKNOWN_DIM } from '../../tensor.js';
import { ValueTypes } from './value-types.js';

/** A size that a model cannot take, and the nearest that it can. */
export interface UnfitSize {
  /** The name of the dimension, such as `H`. */
  readonly name: string;
  readonly size: number;
  /** The largest size below and the smallest above that fit; none where no size in reach fits. */
  readonly fitting: readonly number[];
}

/** Two expressions of one name that must be equal: the sizes of two tensors that a Concat joins along another axis. */
type Rule = readonly [Dim, Dim];

/** The farthest that a fitting size is looked for. Networks halve at most some seven times. */
const REACH = 256;

/**
 * Returns the named sizes at which a Concat of the graph would join tensors of different sizes. A model that does not declare its
 * sizes by name, or whose shapes do not follow from its nodes, has no such name.
 */
export function unfitSizes(model: Model, sizes: ReadonlyMap<string, number>): UnfitSize[] {
  const types = new ValueTypes(model);
  const rules = model.nodes
    .filter(({ opType }) => opType === 'Concat')
    .flatMap((node) => rulesOf(node, types));
  return [...sizes].flatMap(([name, size]) => {
    const fits = (candidate: number) =>
      rules.every(([left, right]) => {
        const [a, b] = [left, right].map((dim) => evaluateDim(dim, new Map([[name, candidate]])));
        // NaN: expressions of other names say nothing about this one.
        return Number.isNaN(a! - b!) || a === b;
      });
    if (fits(size)) return [];
    const steps = Array.from({ length: REACH }, (_, step) => step + 1);
    const fitting = [-1, 1].flatMap((sign) => {
      const found = steps.find((step) => size + sign * step > 0 && fits(size + sign * step));
      return found === undefined ? [] : [size + sign * found];
    });
    return [{ name, size, fitting }];
  });
}

function rulesOf(node: Model['nodes'][number], types: ValueTypes): Rule[] {
  const [first, ...others] = node.inputs.map((name) => types.typeOf(name).shape);
  const axis = node.number('axis') ?? 0;
  if (!first) return [];
  const along = axis < 0 ? axis + first.length : axis;
  return others.flatMap((shape) =>
    shape?.length !== first.length
      ? []
      : first.flatMap((dim, index): Rule[] =>
          index === along || [dim, shape[index]!].includes(UNKNOWN_DIM) ? [] : [[dim, shape[index]!]],
        ),
  );
}
