/** Where ONNX Runtime really ran the nodes of a model: it gives what a provider cannot run to the CPU, and says nothing. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SessionError } from '../errors.js';
import type { TensorData } from '../tensor.js';
import type { BackendOptions, LoadedModel, RunOptions, TensorInfo, TensorRecord } from './backend.js';
import type { NodeModel } from './onnxruntime-node.js';

/** How many nodes of a profile each execution provider ran, by ONNX Runtime's names for them. */
export function placements(profile: string): Map<string, number> {
  const events = JSON.parse(profile) as { cat?: string; args?: { provider?: string } }[];
  const counts = new Map<string, number>();
  for (const { cat, args } of events) {
    if (cat !== 'Node' || !args?.provider) continue;
    counts.set(args.provider, (counts.get(args.provider) ?? 0) + 1);
  }
  return counts;
}

/**
 * Loads a model so that its first run is profiled, and refuses the result of that run if no node was placed on the
 * provider. A caller who has a profile written sees the placement there, and nothing is checked.
 * @param runtimeName `CUDAExecutionProvider`.
 */
export async function loadVerified(
  runtimeName: string,
  options: BackendOptions,
  load: (options: BackendOptions) => Promise<NodeModel>,
): Promise<LoadedModel> {
  if (options.profileFilePrefix !== undefined) return load(options);
  const folder = await mkdtemp(join(tmpdir(), 'onnx-groupnorm-'));
  try {
    return new VerifiedModel(
      await load({ ...options, profileFilePrefix: join(folder, 'run') }),
      runtimeName,
      folder,
    );
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

class VerifiedModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  #verified: Promise<void> | undefined;

  constructor(
    readonly model: NodeModel,
    readonly runtimeName: string,
    readonly folder: string,
  ) {
    this.inputs = model.inputs;
    this.outputs = model.outputs;
  }

  async run(feeds: TensorRecord, options: RunOptions): Promise<Record<string, TensorData>> {
    const results = await this.model.run(feeds, options);
    this.#verified ??= this.#verify();
    await this.#verified;
    return results;
  }

  async dispose(): Promise<void> {
    await this.model.dispose();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #verify(): Promise<void> {
    this.model.session.endProfiling();
    const [file] = await readdir(this.folder);
    const counts = placements(await readFile(join(this.folder, file!), 'utf8'));
    await rm(this.folder, { recursive: true, force: true });
    if (counts.has(this.runtimeName)) return;
    const where = [...counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'nowhere';
    throw new SessionError(
      'PROVIDER_UNAVAILABLE',
      `ONNX Runtime placed no node of this model on ${this.runtimeName}, but: ${where}; ask for the provider 'cpu' instead`,
    );
  }
}
