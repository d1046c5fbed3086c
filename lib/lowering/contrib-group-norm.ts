/** The lowering `contrib-group-norm`, for sessions only. */
import { GraphError } from '../errors.js';
import type { Scope } from '../graph/builder.js';
import { float, int, ints } from '../graph/attr.js';
import type { Value } from '../graph/types.js';
import { type DType, type FloatDType, formatShape, type Shape } from '../tensor.js';
import { centred } from './row-means.js';
import { channelsOf, filled, inWideDType } from './rows.js';
import { CONTRIB_DOMAIN, CONTRIB_OP as OP_TYPE, type GroupNormSite, type Lowering } from './types.js';

/** The most channels per group that the kernel takes in one block. */
const MAX_CHANNELS_PER_GROUP = 512;

/**
 * Writes ONNX Runtime's `com.microsoft.GroupNorm`, for sessions whose provider has a kernel for it. Source: its schema
 * (diffusion_defs.cc) and its CUDA kernel (contrib_ops/cuda/diffusion/group_norm*), ONNX Runtime 1.23 to 1.29: 4-D,
 * channels last, scale and bias in float32, an even number of at most 512 channels per group. The kernel computes the
 * variance as E[x²] − E[x]² in float32, which loses digits if the mean is large; so the values are centred first.
 */
export const contribGroupNormLowering: Lowering = {
  name: 'contrib-group-norm',
  minOpset: 7,
  lower(g, site, opset) {
    const reason = whyNotContrib(site);
    if (reason !== undefined) {
      throw new GraphError(
        'LOWERING_UNAVAILABLE',
        `${g.describe(`${CONTRIB_DOMAIN}.${OP_TYPE}`)}: ${reason}`,
      );
    }
    return inWideDType(g, site, (wide) => normalize(g, wide, opset));
  },
};

/** The part of a site that decides whether the kernel can run it. */
interface KernelInput {
  readonly x: { readonly dtype: DType; readonly shape: Shape };
  readonly numGroups: number;
}

/** Says why the kernel cannot run a site; `undefined` if it can. */
export function whyNotContrib({ x: { dtype, shape }, numGroups }: KernelInput): string | undefined {
  if (dtype !== 'float32' && dtype !== 'float16') return `the kernel takes float32 and float16, not ${dtype}`;
  if (shape.length !== 4) return `the kernel takes (N, C, H, W), not ${formatShape(shape)}`;
  const channels = (shape[1] as number) / numGroups;
  if (channels % 2 === 0 && channels <= MAX_CHANNELS_PER_GROUP) return undefined;
  return `the kernel takes an even number of at most ${MAX_CHANNELS_PER_GROUP} channels per group, not ${channels}`;
}

function normalize(g: Scope, site: GroupNormSite, opset: number): Value {
  const { x, numGroups, epsilon } = site;
  const { channels } = channelsOf(site);
  const dtype = x.dtype as FloatDType;
  const last = transpose(g, centred(g, site, opset), [0, 2, 3, 1]);
  const inputs = [
    last,
    site.scale ?? filled(g, dtype, channels, 1),
    site.bias ?? filled(g, dtype, channels, 0),
  ];
  const attributes = {
    groups: int(numGroups),
    epsilon: float(epsilon),
    activation: int(0),
    channels_last: int(1),
  };
  const [y] = g.node(OP_TYPE, inputs, attributes, [{ dtype, shape: last.shape }]);
  return transpose(g, y!, [0, 3, 1, 2]);
}

function transpose(g: Scope, x: Value, perm: readonly number[]): Value {
  const shape = perm.map((axis) => x.shape[axis]!);
  return g.node('Transpose', [x], { perm: ints(perm) }, [{ dtype: x.dtype, shape }])[0]!;
}
