/** The table of how GroupNormalization runs on each provider if the caller does not say. */
import type { FloatSums, SessionLoweringName } from '../../lowering/types.js';
import type { Provider } from '../core/contract.js';

/** One row of the table. */
export interface GroupNormChoice {
  /** This project's kernel, or the lowering that nodes are rewritten to. */
  readonly groupNorm: SessionLoweringName | 'kernel';
  /** What was measured, in words: docs/providers.md has the figures. */
  readonly because: string;
  /** Whether LayerNormalization of short rows stays, because ONNX Runtime's kernel is right for them. Default true. */
  readonly hasLayerNormKernel?: boolean;
  /** The sums of ONNX Runtime's CPU kernels there, for which `reduce-mean` has a form of its own. */
  readonly sums?: FloatSums;
}

/** The providers that have a kernel for `com.microsoft.GroupNorm`. */
export const CONTRIB_PROVIDERS: readonly Provider[] = ['cuda'];

const NOT_MEASURED =
  'not measured yet: of the rewrites that run on every provider, this was right in every measurement';

/** The table, which `npm run docs:providers` writes into docs/providers.md beside the measurements. */
export const GROUP_NORM_CHOICES: Readonly<Record<Provider, GroupNormChoice>> = {
  native: {
    groupNorm: 'kernel',
    because:
      'every case passes, at the median closer to float64 than PyTorch, and it is faster than any rewrite in large shapes',
  },
  cpu: {
    groupNorm: 'reduce-mean',
    sums: { maxShortRow: 1024, areInOneFloat: false },
    because:
      'every case passes; instance-norm and layer-norm take about as long, but lose digits in long rows; op is wrong ' +
      'where the mean is large',
  },
  cuda: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
  tensorrt: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
  webgpu: {
    groupNorm: 'reduce-mean',
    hasLayerNormKernel: false,
    because:
      'every float32 case passes in Chromium and in Node on a GPU in software; there instance-norm is wrong for a tiny ' +
      'epsilon and refuses an empty batch, op loses digits where the mean is large; speed on a GPU is not measured',
  },
  wasm: {
    groupNorm: 'reduce-mean',
    sums: { maxShortRow: 64, areInOneFloat: true },
    hasLayerNormKernel: false,
    because:
      'every case passes; instance-norm takes about as long and layer-norm longer, and both lose digits in long rows, ' +
      'layer-norm in short rows too where the mean is large; op is wrong or NaN where the mean is large',
  },
  coreml: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
  dml: { groupNorm: 'reduce-mean', because: NOT_MEASURED },
};

/** Returns the lowering for a provider: `op`, the standard operator, if the provider has the kernel. */
export const chosenLowering = ({ groupNorm }: GroupNormChoice): SessionLoweringName =>
  groupNorm === 'kernel' ? 'op' : groupNorm;
