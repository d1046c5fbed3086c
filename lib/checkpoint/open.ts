/** Opens a folder that diffusers or timm has saved, as a graph and its weights. */
import { join } from 'node:path';
import { PRETRAINED, recogniseConfig } from '../../graphs/pretrained.js';
import type { InputType } from '../../graphs/shared/definition.js';
import type { Pretrained, PretrainedOptions } from '../../graphs/shared/pretrained.js';
import { endsBy } from '../disposal.js';
import type { DeferredWeights, Graph } from '../graph/types.js';
import { type Limits, requireLimits } from '../limits.js';
import { requireKnownOptions } from '../options.js';
import type { FloatDType } from '../tensor.js';
import { CONFIG, type FolderWeights, openWeights, readConfig } from './folder.js';
import { checkpointWeights } from './weights.js';

/** Options of {@link openPretrained}. */
export interface OpenPretrainedOptions {
  /** The part of the network, where it has parts: `decoder`. Default: the whole network. */
  readonly part?: string | undefined;
  /** The dtype of the float inputs and of all weights, which are converted. Default float32. */
  readonly dtype?: FloatDType | undefined;
  /** The shape of the first input, or the shapes of inputs by name. Default: names for all sizes that may differ. */
  readonly shape?: InputType['shape'];
  /** How large the files may be. Default: `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits> | undefined;
}

const OPTIONS: readonly (keyof OpenPretrainedOptions)[] = ['part', 'dtype', 'shape', 'limits'];

/**
 * Opens a folder that diffusers (`save_pretrained`) or timm (`save_for_hf`) has saved, or a download of one: `config.json`
 * and safetensors files. The weights are read when a model is written, so that a network may be larger than memory.
 *
 * ```ts
 * await using vae = await openPretrained('stable-diffusion-v1-5/vae', { part: 'decoder', dtype: 'float16' });
 * await writeModel('decoder.onnx', vae.graph, vae.weights, { externalData: true });
 * ```
 * @param folder Path of the folder that has `config.json`. Its files may be links, as in the cache of Hugging Face.
 * @throws CheckpointError for a configuration or weights that cannot be read; WeightsError `STATE_DICT_MISMATCH` for weights
 *   of another configuration, `SAFETENSORS_INVALID`, `UNSUPPORTED_DTYPE`; FileError; the errors of the graph's `build`.
 */
export const openPretrained = (
  folder: string,
  options: OpenPretrainedOptions = {},
): Promise<PretrainedModel> => openFolder(PRETRAINED, folder, options);

/** {@link openPretrained} with a table of networks. */
export async function openFolder(
  table: readonly Pretrained[],
  folder: string,
  options: OpenPretrainedOptions,
): Promise<PretrainedModel> {
  requireKnownOptions('openPretrained', options, OPTIONS);
  const { part, dtype = 'float32', shape } = options;
  const limits = requireLimits('openPretrained', options.limits);
  const config = await readConfig(folder, limits, table);
  const { pretrained, className, options: graphOptions } = recogniseConfig(config, part, table);
  const graph = pretrained.graph.build(graphOptions, { dtype, shape });
  const files = await openWeights(folder, dtype, limits);
  try {
    const weights = checkpointWeights(join(folder, files.name), graph, files.tensors, {
      parameterKey: pretrained.parameterKey,
      isUnused: pretrained.isUnused && ((key) => pretrained.isUnused!(key, graphOptions)),
    });
    const { library } = pretrained;
    return new PretrainedModel({ library, className, options: graphOptions, graph, weights }, folder, files);
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** A network that {@link openPretrained} has opened. Close it when the model is written. */
export class PretrainedModel {
  /** The library that has saved it: `diffusers` or `timm`. */
  readonly library: string;
  /** The name of the class: `AutoencoderKL`. */
  readonly className: string;
  /** The options of the graph, as the configuration gives them. */
  readonly options: PretrainedOptions;
  /** The canonical graph, whose parameters have the keys of the state_dict. */
  readonly graph: Graph;
  /** The weights, for `writeModel`. They can be read until the network is closed. */
  readonly weights: DeferredWeights;
  /** The paths of all files that are read. */
  readonly files: readonly string[];
  readonly #files: FolderWeights;

  /** @internal */
  constructor(
    network: Pick<PretrainedModel, 'library' | 'className' | 'options' | 'graph' | 'weights'>,
    folder: string,
    files: FolderWeights,
  ) {
    ({
      library: this.library,
      className: this.className,
      options: this.options,
      graph: this.graph,
      weights: this.weights,
    } = network);
    this.files = [join(folder, CONFIG), ...files.paths];
    this.#files = files;
  }

  /** Closes the files. Closing them twice is allowed. */
  close(): Promise<void> {
    return this.#files.close();
  }

  /** Closes the files: for `await using`. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  static {
    endsBy(this.prototype, Symbol.asyncDispose, 'close');
  }
}
