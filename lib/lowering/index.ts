export {
  DEFAULT_OPSET,
  defaultLowering,
  getLowering,
  getSessionLowering,
  loweringsAt,
  MAX_OPSET,
  MIN_OPSET,
  requireOpset,
} from './choose.js';
export { CONTRIB_DOMAIN, whyNotContrib } from './contrib-group-norm.js';
export { lowerGraph } from './lower-graph.js';
export {
  lowerRowSite,
  lowerSite,
  type Fragment,
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
