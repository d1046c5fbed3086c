/** Folders as diffusers and timm save them, of which one file is damaged or says anything. */
import fc from 'fast-check';
import { graphFromConfig } from '../../graphs/pretrained.js';
import { encodeSafetensors } from '../../lib/weights/safetensors.js';
import { TINY_BIT, weightsFor } from '../support/checkpoint.js';
import { damaged, damages } from './edits.js';
import { LOCATIONS, texts } from './values.js';

/** A file of a folder, and the other files. */
export interface FolderCase {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly others: ReadonlyMap<string, Uint8Array>;
}

/** Small networks of every class that is known. */
const CONFIGS: readonly Readonly<Record<string, unknown>>[] = [
  TINY_BIT,
  {
    _class_name: 'AutoencoderKL',
    block_out_channels: [4, 8],
    down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
    up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    latent_channels: 2,
    norm_num_groups: 2,
    shift_factor: null,
  },
  {
    _class_name: 'UNet2DModel',
    block_out_channels: [8, 16],
    down_block_types: ['DownBlock2D', 'AttnDownBlock2D'],
    up_block_types: ['AttnUpBlock2D', 'UpBlock2D'],
    layers_per_block: 1,
    norm_num_groups: 4,
    attention_head_dim: 4,
  },
  {
    _class_name: 'UNet2DConditionModel',
    block_out_channels: [8, 16],
    down_block_types: ['CrossAttnDownBlock2D', 'DownBlock2D'],
    up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D'],
    layers_per_block: 1,
    norm_num_groups: 4,
    attention_head_dim: 2,
    cross_attention_dim: 12,
    transformer_layers_per_block: 1,
  },
];

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));

const CONFIG = 'config.json';
const WEIGHTS = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

interface Folder {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Uint8Array;
  readonly keys: readonly string[];
}

let made: readonly Folder[] | undefined;

/** Returns the right folders, made once, when a case asks for one. */
const folders = (): readonly Folder[] =>
  (made ??= CONFIGS.map((config) => {
    const tensors = weightsFor(graphFromConfig(config));
    return { config, weights: Buffer.concat(encodeSafetensors({ tensors })), keys: [...tensors.keys()] };
  }));

const folder = fc.nat(CONFIGS.length - 1).map((index) => folders()[index]!);

/** Numbers that set how large a network is, and values of wrong types. */
const numbers = fc.constantFrom(
  0,
  1,
  2,
  3,
  8,
  24,
  64,
  1000,
  -1,
  0.5,
  2 ** 20,
  2 ** 31,
  2 ** 40,
  2 ** 53,
  1e300,
);
const lists = fc
  .tuple(numbers, fc.constantFrom(1, 2, 3, 12, 64, 1000))
  .map(([value, length]) => Array<number>(length).fill(value));
const values: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: numbers },
  { weight: 3, arbitrary: lists },
  { weight: 2, arbitrary: fc.constantFrom(null, true, false, 'silu', 'none', '') },
  { weight: 1, arbitrary: texts },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
);

/** Keys that the configurations above have, and keys that others have. */
const KEYS = [
  ...new Set(CONFIGS.flatMap((config) => Object.keys(config))),
  ...[
    'num_class_embeds',
    'time_embedding_type',
    'encoder_hid_dim',
    'class_embed_type',
    'in_channels',
    'part',
  ],
  ...['addition_embed_type', 'addition_time_embed_dim', 'projection_class_embeddings_input_dim', 'act_fn'],
];
/** Keys of timm's `model_args`. */
const ARGUMENTS = [
  'layers',
  'channels',
  'stem_chs',
  'num_groups',
  'width_factor',
  'stem_type',
  'global_pool',
];

type ConfigEdit = readonly [key: string, argument: string, value: unknown];

const configEdits: fc.Arbitrary<ConfigEdit> = fc.tuple(
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...KEYS) }, texts),
  fc.constantFrom(...ARGUMENTS),
  values,
);

function editedConfig(config: Folder['config'], edits: readonly ConfigEdit[]): Uint8Array {
  const copy: Record<string, unknown> = { ...config };
  for (const [key, argument, value] of edits) {
    if (key === 'model_args') copy[key] = { ...(copy[key] as object | undefined), [argument]: value };
    else copy[key] = value;
  }
  return json(copy);
}

const configs: fc.Arbitrary<FolderCase> = fc
  .tuple(folder, fc.array(configEdits, { minLength: 1, maxLength: 4 }), fc.array(damages, { maxLength: 1 }))
  .map(([{ config, weights }, edits, list]) => ({
    name: CONFIG,
    bytes: damaged(editedConfig(config, edits), list),
    others: new Map([[WEIGHTS, weights]]),
  }));

const weights: fc.Arbitrary<FolderCase> = fc
  .tuple(folder, fc.array(damages, { maxLength: 2 }))
  .map(([{ config, weights: right }, list]) => ({
    name: WEIGHTS,
    bytes: damaged(right, list),
    others: new Map([[CONFIG, json(config)]]),
  }));

/** An index of shards that names the file for every tensor, and other files for some. */
const indexes: fc.Arbitrary<FolderCase> = fc
  .tuple(
    folder,
    fc.array(fc.tuple(fc.nat(100), fc.constantFrom(...LOCATIONS, CONFIG, 'part.safetensors', '__proto__')), {
      maxLength: 2,
    }),
    fc.array(damages, { maxLength: 1 }),
  )
  .map(([{ config, weights: right, keys }, edits, list]) => {
    const places = keys.map((key): [string, string] => [key, 'part.safetensors']);
    for (const [at, place] of edits) places[at % places.length]![1] = place;
    return {
      name: INDEX,
      bytes: damaged(json({ metadata: {}, weight_map: Object.fromEntries(places) }), list),
      others: new Map([
        [CONFIG, json(config)],
        ['part.safetensors', right],
      ]),
    };
  });

export const checkpoints: fc.Arbitrary<FolderCase> = fc.oneof(
  { weight: 3, arbitrary: configs },
  { weight: 1, arbitrary: weights },
  { weight: 1, arbitrary: indexes },
);
