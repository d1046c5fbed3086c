/** How GroupNormalization runs on each provider where the caller does not say: the one table of it. */
import type { SiteRef } from '../../lowering/lower-site.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import type { Provider } from './contract.js';

/** One row of the table. */
export interface GroupNormChoice {
  /** The kernel of this project, or what the node is rewritten to. */
  readonly groupNorm: SessionLoweringName | 'kernel';
  /** The measurement behind it. */
  readonly because: string;
  /**
   * Whether ONNX Runtime's kernel of LayerNormalization is right at least for short rows, and left those. Default true.
   */
  readonly hasLayerNormKernel?: boolean;
  /** Whether ONNX Runtime adds up a whole row in one float32, so that `reduce-mean` has more to do. Default false. */
  readonly sumsInOneFloat?: boolean;
  /** Where something else was measured to be better: the first that fits a node is taken. */
  readonly exceptions?: readonly ShapeChoice[];
}

/** What some nodes are rewritten to, by their dtype and shape, of which sizes may be names. */
export interface ShapeChoice {
  readonly groupNorm: SessionLoweringName;
  fits(site: SiteRef): boolean;
  /** The measurement behind it. */
  readonly because: string;
}

/** Whose build of ONNX Runtime has a kernel for `com.microsoft.GroupNorm`. */
export const CONTRIB_PROVIDERS: readonly Provider[] = ['cuda'];

const NOT_MEASURED =
  'not measured yet: of the rewrites that run everywhere, the one that is right wherever it was measured';

/** The table. `npm run docs:providers` writes it into docs/providers.md, beside the figures that it rests on. */
export const GROUP_NORM_CHOICES: Readonly<Record<Provider, GroupNormChoice>> = {
  native: {
    groupNorm: 'kernel',
    because:
      'every case passes, at the median half as far from float64 as PyTorch, and it is several times as fast as any ' +
      'rewrite in large shapes',
  },
  cpu: {
    groupNorm: 'reduce-mean',
    because:
      'every case passes; instance-norm and layer-norm take about as long, but are off by 1e-5 in rows of 260,000 ' +
      'elements; op is off by 0.5 at mean 300',
  },
  cuda: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
  tensorrt: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
  webgpu: {
    groupNorm: 'reduce-mean',
    hasLayerNormKernel: false,
    because:
      'every float32 case passes in Chromium and in Node on a GPU in software; there instance-norm is off by 1 for ' +
      'epsilon 1e-12 and refuses an empty batch, op is off by 3e-2 at mean 300; speed on a GPU is not measured',
  },
  wasm: {
    groupNorm: 'reduce-mean',
    sumsInOneFloat: true,
    hasLayerNormKernel: false,
    because:
      'every case passes; instance-norm takes about as long and layer-norm longer, and their kernels are off by 2e-5 ' +
      'in rows of 40,000 elements and 2e-4 in rows of 260,000, and layer-norm by 3e-4 at mean 300 in rows of 768; op is NaN ' +
      'or off by 1 and more at mean 300',
  },
  coreml: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
  dml: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
};

/** The lowering for a provider: `op` is the standard operator, for which it then has a kernel. */
export const chosenLowering = ({ groupNorm }: GroupNormChoice): SessionLoweringName =>
  groupNorm === 'kernel' ? 'op' : groupNorm;

/** The lowering for one node. */
export const loweringFor = (choice: GroupNormChoice, site: SiteRef): SessionLoweringName =>
  choice.exceptions?.find((exception) => exception.fits(site))?.groupNorm ?? chosenLowering(choice);
