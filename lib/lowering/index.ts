export {
  DEFAULT_OPSET,
  defaultLowering,
  getLowering,
  getSessionLowering,
  loweringsAt,
  MAX_OPSET,
  MAX_SESSION_OPSET,
  MIN_OPSET,
  requireOpset,
} from './choose.js';
export { whyNotContrib } from './contrib-group-norm.js';
export { CONTRIB_DOMAIN, FUSED_DOMAIN, FUSED_OP } from './domains.js';
export { centredInstanceNorm } from './instance-norm.js';
export { kernelLowering } from './kernel.js';
export { lowerGraph } from './lower-graph.js';
export {
  lowerRowSite,
  lowerSite,
  type Fragment,
  type LoweringChoice,
  type RowSiteRef,
  type SiteRef,
  type ValueRef,
} from './lower-site.js';
export {
  LOWERING_NAMES,
  SESSION_LOWERING_NAMES,
  type GroupNormSite,
  type Lowering,
  type LoweringName,
  type SessionLoweringName,
} from './types.js';
