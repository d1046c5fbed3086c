import { op, type Scope, type Value } from '../graph/index.js';
import type { FloatDType } from '../tensor.js';
import { affine, centre, filled, fromGroups, inWideDType, toGroups } from './groups.js';
import type { GroupNormSite, Lowering } from './types.js';

/** LayerNormalization of the rows. Its scale is one element, which broadcasts along a row of any length. */
export const layerNormLowering: Lowering = {
  name: 'layer-norm',
  minOpset: 17,
  lower: (g, site) => inWideDType(g, site, (wide) => normalize(g, wide)),
};

function normalize(g: Scope, site: GroupNormSite): Value {
  const one = filled(g, site.x.dtype as FloatDType, 1, 1);
  const rows = op.layerNormalization(g, stableRows(g, site), one, undefined, {
    axis: -1,
    epsilon: site.epsilon,
  });
  return affine(g, site, fromGroups(g, site, rows));
}

/**
 * ONNX Runtime's kernel takes E[x²] − E[x]², of float32 in double, where it does no harm, but of float64 in
 * float64, where it cancels: those rows are centred first.
 */
function stableRows(g: Scope, site: GroupNormSite): Value {
  const rows = toGroups(g, site);
  return site.x.dtype === 'float64' ? centre(g, rows) : rows;
}
