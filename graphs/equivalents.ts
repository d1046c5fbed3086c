/**
 * The two extremes of GroupNorm: with one group it is LayerNorm over all dimensions but the batch, with as many groups as
 * channels it is InstanceNorm (Wu & He 2018, arXiv:1803.08494, section 3.1). Each function builds both graphs, to compare
 * them on any runtime.
 */
import { GraphBuilder } from '../lib/graph/builder.js';
import type { Graph } from '../lib/graph/types.js';
import { requireKnownOptions } from '../lib/options.js';
import { defineGraph, type InputType } from './shared/definition.js';
import { GROUP_NORM_OPTIONS, groupNormGraph } from './group-norm.js';
import { shapesByName } from './shared/input.js';
import { affineParameters, instanceNorm, layerNorm } from './layers/normalization.js';

const OPTIONS = ['numChannels', 'eps', 'affine'] as const;

/** Options of {@link layerNormEquivalent} and {@link instanceNormEquivalent}. */
export interface EquivalentOptions {
  /** The number of channels of the input. */
  readonly numChannels: number;
  /** A number added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Whether the graphs have a weight and a bias, one number per channel each. Default true. */
  readonly affine?: boolean;
}

/**
 * Builds GroupNorm with one group, and the same as LayerNormalization over (C, ...).
 *
 * Both graphs have the input `x`, the output `y` and the parameters `weight` and `bias`, (C) each, so that one
 * state_dict fits both. LayerNormalization needs opset 17. Source: Wu & He 2018, arXiv:1803.08494, section 3.1.
 *
 * ```ts
 * const { groupNorm, layerNorm } = layerNormEquivalent({ numChannels: 8 });
 * ```
 * @param input The shape of `x`, of rank 2 or more, default (N, C, H, W), and its dtype, a float.
 * @throws GraphError `INVALID_*`, `SHAPE_MISMATCH`, `RANK_TOO_LOW`; OptionError `UNKNOWN_OPTION`, `NO_OPTIONS`.
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
 * Builds GroupNorm with as many groups as channels, and the same as InstanceNormalization.
 *
 * Both graphs have the input `x`, the output `y` and the parameters `weight` and `bias`, (C) each, so that one
 * state_dict fits both. Source: Wu & He 2018, arXiv:1803.08494, section 3.1.
 * @param input The shape of `x`, of rank 3 or more, default (N, C, H, W), and its dtype, a float.
 * @throws GraphError `INVALID_*`, `SHAPE_MISMATCH`, `RANK_TOO_LOW`; OptionError `UNKNOWN_OPTION`, `NO_OPTIONS`.
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

/** Declares a graph of one normalization with GroupNorm's parameters. The registry has `group-norm` in its place. */
function affineNorm(name: string, normalize: typeof layerNorm) {
  const { numChannels, eps, affine } = GROUP_NORM_OPTIONS;
  return defineGraph({
    name,
    description: `${name} with a weight and a bias per channel: input x (N, numChannels, ...), output y`,
    options: { numChannels, eps, affine },
    build(options, { dtype, shape }) {
      const g = new GraphBuilder(name);
      const given = shapesByName(name, shape, ['x']).x;
      const x = g.input('x', dtype, given ?? ['N', options.numChannels, 'H', 'W']);
      g.output(
        'y',
        normalize(g, x, { eps: options.eps, affine: options.affine ? affineParameters(g, x) : undefined }),
      );
      return g.build();
    },
  });
}
