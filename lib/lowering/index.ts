export {
  DEFAULT_OPSET,
  defaultLowering,
  getLowering,
  loweringsAt,
  MAX_OPSET,
  MIN_OPSET,
  requireOpset,
} from './choose.js';
export { lowerGraph } from './lower-graph.js';
export {
  lowerRowSite,
  lowerSite,
  type Fragment,
  type RowSiteRef,
  type SiteRef,
  type ValueRef,
} from './lower-site.js';
export { LOWERING_NAMES, type GroupNormSite, type Lowering, type LoweringName } from './types.js';
