export { widenBfloat16 } from './bfloat16-io.js';
export { convertModel, type ConvertedModel, type ConvertOptions, type ReplacedNorms } from './convert.js';
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
export {
  replaceNorms,
  runnable,
  SAFE_LOWERING,
  unreachableGroupNorm,
  type NormPlan,
  type NormReport,
  type OutOfReach,
} from './replace-norms.js';
export type { SiteLowering } from './sites.js';
export { lowerRowNorms, MAX_LAYER_NORM_ROW, notAskedFor, type RowOperator } from './row-norms.js';
export { ValueTypes } from './value-types.js';
