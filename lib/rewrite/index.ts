export { widenBfloat16 } from './bfloat16-io.js';
export { mergeExportedGroupNorm } from './exported-group-norm.js';
export { fuseGroupNorm } from './fuse-group-norm.js';
export { lowerInlinedGroupNorm } from './inlined-group-norm.js';
export {
  isFloat64InstanceNorm,
  isGroupNorm,
  lowerNormalizations,
  type PassReport,
  type SiteFilter,
} from './lower-group-norm.js';
export { lowerRowNorms, MAX_LAYER_NORM_ROW, type RowOperator } from './row-norms.js';
export { ValueTypes } from './value-types.js';
