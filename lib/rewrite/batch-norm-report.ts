/** What `batchNormToGroupNorm` says of a model: the new normalizations, and what an exporter may have folded away before. */
import { inputOf, type SiteRef } from '../lowering/lower.js';
import { plural, listNames } from '../quantities.js';
import { elementCount, isStatic } from '../tensor.js';
import { isOp, outputOf } from './patterns.js';
import { isConstant } from './sites.js';
import type { ValueTypes } from './value-types.js';

/** One normalization that was a BatchNormalization. */
export interface ReplacedBatchNorm {
  /** The node's name, or the name of its output. */
  readonly name: string;
  /** The PyTorch module, such as `layer1.0.bn1`, where the names of scale and bias tell it; `''` is the network itself. */
  readonly module: string | undefined;
  readonly channels: number;
  readonly numGroups: number;
  readonly epsilon: number;
  /** The name of the scale in the new model: the key of a state_dict if `module` is known. */
  readonly weight: string;
  /** The name of the bias, as `weight`. */
  readonly bias: string;
}

/** Describes the normalization that a site has become. */
export function reportOf({ name, x, scale, bias, numGroups, epsilon, output }: SiteRef): ReplacedBatchNorm {
  const [weight, offset] = [scale!.name, bias!.name];
  return {
    name: name || output,
    module: moduleOf(weight, offset),
    channels: x.shape[1] as number,
    numGroups,
    epsilon,
    weight,
    bias: offset,
  };
}

/** Returns what `layer1.0.bn1.weight` and `layer1.0.bn1.bias` have in common. */
function moduleOf(weight: string, bias: string): string | undefined {
  const [, module] = /^(?:(.*)\.)?weight$/s.exec(weight) ?? [undefined, undefined];
  const isPair = /^(.*\.)?weight$/s.test(weight) && bias === weight.replace(/weight$/, 'bias');
  return isPair ? (module ?? '') : undefined;
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
const HOW_TO_EXPORT =
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
