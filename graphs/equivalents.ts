/**
 * The two ends of GroupNorm: with one group it is LayerNorm over all but the batch, with as many groups as channels
 * it is InstanceNorm (Wu & He 2018, arXiv:1803.08494, section 3.1). Each end as two graphs to check against each
 * other, on any runtime.
 */
import { GraphBuilder } from '../lib/graph/builder.js';
import type { Graph } from '../lib/graph/types.js';
import { requireKnownOptions } from '../lib/options.js';
import { defineGraph, type InputType } from './definition.js';
import { GROUP_NORM_OPTIONS, groupNormGraph } from './group-norm.js';
import { affineParameters, instanceNorm, layerNorm } from './layers/index.js';

const OPTIONS = ['numChannels', 'eps', 'affine'] as const;

/** Options of {@link layerNormEquivalent} and {@link instanceNormEquivalent}. */
export interface EquivalentOptions {
  /** Channels of the input. */
  readonly numChannels: number;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Whether there are a weight and a bias, one per channel. Default true. */
  readonly affine?: boolean;
}

/**
 * GroupNorm with one group, and LayerNormalization over (C, ...).
 *
 * Both graphs have the input `x`, the output `y` and the parameters `weight` and `bias`, (C) each, so that one
 * state_dict fits both. LayerNormalization needs opset 17.
 *
 * ```ts
 * const { groupNorm, layerNorm } = layerNormEquivalent({ numChannels: 8 });
 * ```
 * @param input Shape of `x`, default (N, C, H, W), of rank 2 or more, and its dtype.
 * @throws GraphError `INVALID_*`, `SHAPE_MISMATCH`, `RANK_TOO_LOW`; OptionError.
 */
export function layerNormEquivalent(
  options: EquivalentOptions,
  input?: InputType,
): { readonly groupNorm: Graph; readonly layerNorm: Graph } {
  requireKnownOptions('layerNormEquivalent', options, OPTIONS);
  return {
    groupNorm: groupNormGraph.build({ ...options, numGroups: 1 }, input),
    layerNorm: layerNormGraph.build({ ...options }, input),
  };
}

/**
 * GroupNorm with as many groups as channels, and InstanceNormalization.
 *
 * Both graphs have the input `x`, the output `y` and the parameters `weight` and `bias`, (C) each, so that one
 * state_dict fits both.
 * @param input Shape of `x`, default (N, C, H, W), of rank 3 or more, and its dtype.
 * @throws GraphError `INVALID_*`, `SHAPE_MISMATCH`, `RANK_TOO_LOW`; OptionError.
 */
export function instanceNormEquivalent(
  options: EquivalentOptions,
  input?: InputType,
): { readonly groupNorm: Graph; readonly instanceNorm: Graph } {
  requireKnownOptions('instanceNormEquivalent', options, OPTIONS);
  return {
    groupNorm: groupNormGraph.build({ ...options, numGroups: options.numChannels }, input),
    instanceNorm: instanceNormGraph.build({ ...options }, input),
  };
}

const layerNormGraph = affineNorm('layer-norm', layerNorm);
const instanceNormGraph = affineNorm('instance-norm', instanceNorm);

/** A graph of one normalization with GroupNorm's parameters. Not in the registry: there, `group-norm` is both. */
function affineNorm(name: string, normalize: typeof layerNorm) {
  const { numChannels, eps, affine } = GROUP_NORM_OPTIONS;
  return defineGraph({
    name,
    description: `${name} with a weight and a bias per channel: input x (N, numChannels, ...), output y`,
    options: { numChannels, eps, affine },
    build(options, { dtype, shape = ['N', options.numChannels, 'H', 'W'] }) {
      const g = new GraphBuilder(name);
      const x = g.input('x', dtype, shape);
      g.output(
        'y',
        normalize(g, x, { eps: options.eps, affine: options.affine ? affineParameters(g, x) : undefined }),
      );
      return g.build();
    },
  });
}
