/** What `batchNormToGroupNorm` says of a model: the new normalizations, and what an exporter may have folded away before. */
import { inputOf, type SiteRef } from '../../lowering/lower.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { plural, listNames } from '../../quantities.js';
import { elementCount, isStatic } from '../../tensor.js';
import { isOp, outputOf } from '../analysis/patterns.js';
import { isConstant } from '../norms/sites.js';
import type { ValueTypes } from '../analysis/value-types.js';

/** One normalization that was a BatchNormalization. */
export interface ReplacedBatchNorm {
  /** The node's name, or the name of its output. */
  readonly name: string;
  /** The PyTorch module, such as `layer1.0.bn1`, where the names of its tensors tell it; `''` is the network itself. */
  readonly module: string | undefined;
  /** The number of channels. */
  readonly channels: number;
  /** The number of groups, which divides the channels. */
  readonly numGroups: number;
  /** Added to the variance: the BatchNormalization's. */
  readonly epsilon: number;
  /** The name of the scale in the new model: the key of PyTorch's state_dict where the exporter has kept it. */
  readonly weight: string;
  /** The name of the bias, as `weight`. */
  readonly bias: string;
}

/** Describes the normalization that a BatchNormalization has become. */
export function reportOf({ inputs }: ModelNode, site: SiteRef): ReplacedBatchNorm {
  const { name, x, scale, bias, numGroups, epsilon, output } = site;
  return {
    name: name || output,
    module: moduleOf(inputs),
    channels: x.shape[1] as number,
    numGroups,
    epsilon,
    weight: scale!.name,
    bias: bias!.name,
  };
}

/** Returns `layer1.0.bn1` of `layer1.0.bn1.weight` and the like. A BatchNorm without weights has statistics of its name. */
function moduleOf([, ...tensors]: readonly string[]): string | undefined {
  const [weight, bias, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
    (key, index) => {
      const name = tensors[index]!;
      return name === key ? '' : name.endsWith(`.${key}`) ? name.slice(0, -key.length - 1) : undefined;
    },
  );
  if (weight !== undefined && weight === bias) return weight;
  return mean === variance ? mean : undefined;
}

/** A convolution with a bias, and without a BatchNormalization behind it. */
export interface ConvWithoutNorm {
  /** The node's name, or the name of its output. */
  readonly name: string;
  /** The name of its bias. */
  readonly bias: string;
  /**
   * Whether the bias has a name that exporters make up when they fold a BatchNormalization into the convolution:
   * `onnx::Conv_193`, `conv1.weight_bias`. A bias that is a parameter of the network is named `….bias`.
   */
  readonly isFolded: boolean;
}

/** Returns the convolutions of a graph that an exporter may have folded a BatchNormalization into. */
export function convsWithoutNorm(types: ValueTypes): ConvWithoutNorm[] {
  const { model } = types;
  return model.nodes.flatMap((node) => {
    const [, , bias] = node.inputs;
    if (!CONVOLUTIONS.some((opType) => isOp(node, opType)) || !bias || !model.index.hasInitializer(bias))
      return [];
    const isFollowed = model.index
      .onlyReaders(outputOf(node))
      .some((reader) => isOp(reader, 'BatchNormalization'));
    if (isFollowed || isConstant(types, bias, 0)) return [];
    return [{ name: node.name || outputOf(node), bias, isFolded: !/(^|[./])bias$/.test(bias) }];
  });
}

const CONVOLUTIONS = ['Conv', 'ConvTranspose'];

/** How to export a network so that each BatchNormalization stays. Tried with PyTorch 2.13, by both exporters. */
export const HOW_TO_EXPORT =
  'export model.eval() again with torch.onnx.export(…, dynamo=True, optimize=False), or with dynamo=False and ' +
  'do_constant_folding=False';

/** Says why a model has no BatchNormalization to replace, and what to do. */
export function whyNoBatchNorm(convs: readonly ConvWithoutNorm[]): string {
  const none = 'the model has no BatchNormalization';
  if (convs.length === 0) return `${none} to replace`;
  const names = listNames(
    convs.map(({ name }) => name),
    3,
  );
  return (
    `${none}. ${plural(convs.length, 'convolution')} (${names}) may have had one, which the exporter folded into ` +
    `weight and bias: ${HOW_TO_EXPORT}`
  );
}

export const TRAIN_AGAIN =
  'the network must be trained again: GroupNorm computes something else than the BatchNorm with which its weights were trained';

/** Returns what the caller of a converted model must know. */
export function warningsOf(sites: readonly SiteRef[], convs: readonly ConvWithoutNorm[]): string[] {
  const folded = convs.filter(({ isFolded }) => isFolded).map(({ name }) => name);
  const single = sites.filter(hasGroupsOfOne).map(({ name, output }) => name || output);
  return [
    TRAIN_AGAIN,
    ...(folded.length > 0
      ? [
          `${plural(folded.length, 'convolution')} (${listNames(folded, 3)}) had a BatchNormalization that the exporter folded ` +
            `into weight and bias, where it cannot be replaced: ${HOW_TO_EXPORT}`,
        ]
      : []),
    ...(single.length > 0
      ? [
          `${plural(single.length, 'normalization')} (${listNames(single, 3)}) has groups of one element, so that the result is ` +
            'the bias whatever the input: choose fewer groups',
        ]
      : []),
  ];
}

function hasGroupsOfOne(site: SiteRef): boolean {
  const [, ...rest] = inputOf(site).shape;
  return isStatic(rest) && elementCount(rest) === site.numGroups;
}
