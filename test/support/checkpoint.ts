/** Makes folders as diffusers and timm save them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Graph } from '../../lib/graph/types.js';
import type { TensorData } from '../../lib/tensor.js';
import { counterWeights } from '../../lib/weights/counter.js';
import { writeSafetensors } from '../../lib/weights/safetensors-file.js';

/** Writes a file, JSON if it is not text, and its folder. */
export function writeJson(path: string, content: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
}

/** Writes `config.json`, and the tensors to a safetensors file. */
export async function writeCheckpoint(
  folder: string,
  config: unknown,
  tensors: ReadonlyMap<string, TensorData>,
  file = 'diffusion_pytorch_model.safetensors',
): Promise<void> {
  writeJson(join(folder, 'config.json'), config);
  await writeSafetensors(join(folder, file), { tensors });
}

/** Writes a checkpoint of a graph with `counterWeights`, in shards if there is more than one name, with an index. */
export async function writeShards(
  folder: string,
  config: unknown,
  tensors: ReadonlyMap<string, TensorData>,
  stem = 'diffusion_pytorch_model',
): Promise<void> {
  writeJson(join(folder, 'config.json'), config);
  const entries = [...tensors];
  const half = Math.ceil(entries.length / 2);
  const places: Record<string, string> = {};
  for (const [index, part] of [entries.slice(0, half), entries.slice(half)].entries()) {
    const name = `${stem}-0000${index + 1}-of-00002.safetensors`;
    await writeSafetensors(join(folder, name), { tensors: new Map(part) });
    for (const [key] of part) places[key] = name;
  }
  writeJson(join(folder, `${stem}.safetensors.index.json`), { metadata: {}, weight_map: places });
}

/** The weights of a graph by the rule of fixtures. */
export const weightsFor = (graph: Graph): ReadonlyMap<string, TensorData> => counterWeights(graph, 7);

/** The configuration of a small network of timm, as `save_for_hf` writes it. */
export const TINY_BIT = {
  architecture: 'resnetv2_50x1_bit',
  num_classes: 5,
  num_features: 32,
  pretrained_cfg: { tag: 'goog_in21k', input_size: [3, 32, 32] },
  model_args: { layers: [1, 1], channels: [16, 32], stem_chs: 8, num_groups: 4 },
};
