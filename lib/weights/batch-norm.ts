/** The state_dict of a network whose BatchNorm becomes GroupNorm. */
import { isMap } from '../arrays.js';
import { WeightsError } from '../errors.js';
import { halvedToDivide, requireGroups } from '../graph/batch-norm-groups.js';
import { filledTensor } from '../half.js';
import { requireKnownOptions } from '../options.js';
import { formatShape, type TensorData } from '../tensor.js';

/** How `batchNormToGroupNormStateDict` replaces BatchNorm. */
export interface BatchNormStateDictOptions {
  /** The number of groups, halved for each normalization until it divides the channels. Default 32. */
  readonly numGroups?: number | undefined;
  /** Whether weight and bias stay as they are. Default `false`: they are 1 and 0, as in a new `torch.nn.GroupNorm`. */
  readonly keepAffine?: boolean | undefined;
}

/** The result of `batchNormToGroupNormStateDict`. */
export interface GroupNormStateDict {
  /** The tensors of the new network, in the order of the old ones: what `load_state_dict` takes after the recipe. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** The modules that were BatchNorm, by their names in PyTorch: `layer1.0.bn1`; `''` is the network itself. */
  readonly norms: readonly {
    readonly module: string;
    readonly channels: number;
    readonly numGroups: number;
  }[];
  /** The keys that the new network does not have. */
  readonly removed: readonly string[];
}

/** The keys of a BatchNorm that a GroupNorm does not have. */
const STATISTICS = ['running_mean', 'running_var', 'num_batches_tracked'];

/**
 * Returns the state_dict of a network in which each BatchNorm has become GroupNorm: the statistics (`running_mean`,
 * `running_var`, `num_batches_tracked`) are gone, weight is 1 and bias is 0, and all other tensors stay. A module is a BatchNorm if
 * the state_dict has its `running_mean` and `running_var`. (A BatchNorm without these, of `track_running_stats=False`, has the
 * keys of a GroupNorm already; an InstanceNorm that has them is taken for a BatchNorm.)
 * @param stateDict Tensors by key, such as the `readAll()` of a safetensors file gives.
 * @throws WeightsError `STATE_DICT_MISMATCH` if there is no BatchNorm, or one whose tensors do not fit together; OptionError.
 */
export function batchNormToGroupNormStateDict(
  stateDict: ReadonlyMap<string, TensorData>,
  options: BatchNormStateDictOptions = {},
): GroupNormStateDict {
  const where = 'batchNormToGroupNormStateDict';
  requireKnownOptions(where, options, [
    'numGroups',
    'keepAffine',
  ] satisfies (keyof BatchNormStateDictOptions)[]);
  const most = requireGroups(where, options.numGroups);
  if (!isMap(stateDict)) throw mismatch('a state_dict must be a Map of tensors by name');
  const prefixes = [...stateDict.keys()].flatMap((key) => {
    const [, prefix] = /^(|.*\.)running_mean$/s.exec(key) ?? [];
    return prefix !== undefined && stateDict.has(`${prefix}running_var`) ? [prefix] : [];
  });
  if (prefixes.length === 0)
    throw mismatch('the state_dict has no BatchNorm: no module with the keys running_mean and running_var');
  const tensors = new Map(stateDict);
  const removed = prefixes
    .flatMap((prefix) => STATISTICS.map((name) => prefix + name))
    .filter((key) => tensors.delete(key));
  const norms = prefixes.map((prefix) => {
    const channels = channelsOf(stateDict, prefix);
    for (const [name, value] of options.keepAffine
      ? []
      : ([
          ['weight', 1],
          ['bias', 0],
        ] as const)) {
      const old = tensors.get(prefix + name);
      if (old) tensors.set(prefix + name, filledTensor(old.dtype, old.dims, value));
    }
    return { module: prefix.slice(0, -1), channels, numGroups: halvedToDivide(most, channels) };
  });
  return { tensors, norms, removed };
}

/** Returns the number of channels of a BatchNorm, all of whose tensors have one element for each. */
function channelsOf(stateDict: ReadonlyMap<string, TensorData>, prefix: string): number {
  const [channels] = stateDict.get(`${prefix}running_mean`)!.dims;
  for (const name of ['running_mean', 'running_var', 'weight', 'bias']) {
    const dims = stateDict.get(prefix + name)?.dims;
    if (dims === undefined || (channels! >= 1 && formatShape(dims) === formatShape([channels!]))) continue;
    throw mismatch(
      `'${prefix}${name}' has shape ${formatShape(dims)}, and a BatchNorm's tensors have one element for each channel`,
    );
  }
  return channels!;
}

const mismatch = (message: string): WeightsError => new WeightsError('STATE_DICT_MISMATCH', message);
