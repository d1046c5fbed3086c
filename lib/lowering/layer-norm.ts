import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { affine, centred, filled, fromRows, inWideDType, toRows } from './rows.js';
import type { GroupNormSite, Lowering } from './types.js';

/** LayerNormalization of the rows, whose own scale is all ones. */
export const layerNormLowering: Lowering = {
  name: 'layer-norm',
  minOpset: 17,
  lower: (g, site) => inWideDType(g, site, (wide) => normalize(g, wide)),
};

function normalize(g: Scope, site: GroupNormSite): Value {
  const rows = toRows(g, site, centred(g, site));
  const normalized = op.layerNormalization(g, rows, onesAlong(g, rows), undefined, {
    axis: -1,
    epsilon: site.epsilon,
  });
  return affine(g, site, fromRows(g, site, normalized));
}

/**
 * A scale of a row's full length. One element that broadcasts would do for ONNX, but ONNX Runtime runs that
 * on a path half as fast, and before 1.21 not at all. Expanded in the graph, it takes no room in the file.
 */
function onesAlong(g: Scope, rows: Value): Value {
  const one = filled(g, rows.dtype as FloatDType, 1, 1);
  const length = rows.shape[2]!;
  if (typeof length === 'number') return op.expand(g, one, [length]);
  const target = op.slice(g, op.shape(g, rows), { starts: [2], ends: [3], axes: [0] });
  return op.expand(g, one, target, { outputShape: [length] });
}
