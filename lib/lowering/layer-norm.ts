/** The lowering `layer-norm`. */
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import type { FloatDType } from '../tensor.js';
import { centred } from './row-means.js';
import { affine, filled, fromRows, inWideDType, toRows } from './rows.js';
import type { GroupNormSite, Lowering } from './types.js';

/**
 * Centres the rows and applies LayerNormalization to them with a scale of ones; the site's own scale and bias follow.
 * Source: ONNX operator page `LayerNormalization`.
 */
export const layerNormLowering: Lowering = {
  name: 'layer-norm',
  minOpset: 17,
  lower: (g, site, opset) => inWideDType(g, site, (wide) => normalize(g, wide, opset)),
};

function normalize(g: Scope, site: GroupNormSite, opset: number): Value {
  const rows = toRows(g, site, centred(g, site, opset));
  const normalized = op.layerNormalization(g, rows, onesAlong(g, rows), undefined, {
    axis: -1,
    epsilon: site.epsilon,
  });
  return affine(g, site, fromRows(g, site, normalized));
}

/**
 * Makes a scale of ones as long as a row. ONNX allows one element that broadcasts, but ONNX Runtime runs that on a path
 * half as fast, and before 1.21 not at all. The scale is expanded in the graph, so that it takes no room in the file.
 */
function onesAlong(g: Scope, rows: Value): Value {
  const one = filled(g, rows.dtype as FloatDType, 1, 1);
  const length = rows.shape[2]!;
  if (typeof length === 'number') return op.expand(g, one, [length]);
  const target = op.slice(g, op.shape(g, rows), { starts: [2], ends: [3], axes: [0] });
  return op.expand(g, one, target, { outputShape: [length] });
}
