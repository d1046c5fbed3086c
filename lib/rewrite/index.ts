export { widenBfloat16 } from './bfloat16-io.js';
export { fuseGroupNorm } from './fuse-group-norm.js';
export {
  isFloat64InstanceNorm,
  isGroupNorm,
  lowerNormalizations,
  type PassReport,
  type SiteFilter,
} from './lower-group-norm.js';
export { lowerLongRows, type RowOperator } from './long-rows.js';
