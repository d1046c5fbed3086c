export { widenBfloat16 } from './bfloat16-io.js';
export {
  isFloat64InstanceNorm,
  isGroupNorm,
  lowerNormalizations,
  type PassReport,
  type SiteFilter,
} from './lower-group-norm.js';
