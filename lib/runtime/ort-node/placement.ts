/** Where ONNX Runtime really ran the nodes of a model: it gives what a provider cannot run to the CPU, and says nothing. */
import { rmSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SessionError } from '../../errors.js';
import { reasonOf } from '../../files/system-error.js';
import type { TensorData } from '../../tensor.js';
import type { BackendOptions, LoadedModel, RunOptions, TensorInfo, TensorRecord } from '../core/contract.js';
import type { NodeModel, NodeOptions } from './model.js';

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

/** How ONNX Runtime refuses a model of which it would give a node to the CPU, where it was told not to. */
const LEFT_TO_CPU = /fallback to CPU EP has been explicitly disabled/;

/**
 * Loads a model so that it is seen where it runs: all of it on the provider, or else its first run is profiled, and
 * the result refused if no node was placed there. A caller who has a profile written sees the placement in it, and
 * nothing more is checked.
 * @param runtimeName `CUDAExecutionProvider`.
 */
export async function loadVerified(
  runtimeName: string,
  options: BackendOptions,
  load: (options: NodeOptions) => Promise<NodeModel>,
): Promise<LoadedModel> {
  // Its trace shows where the nodes are, and a model that is refused leaves an empty one behind.
  if (options.profileFilePrefix !== undefined) return load(options);
  try {
    return await load({ ...options, cpuFallback: false });
  } catch (error) {
    if (!(error instanceof Error && LEFT_TO_CPU.test(error.message))) throw error;
  }
  const folder = await profileFolder(runtimeName);
  try {
    return new VerifiedModel(
      await load({ ...options, profileFilePrefix: join(folder, 'run') }),
      runtimeName,
      folder,
    );
  } catch (error) {
    await removeFolder(folder);
    throw error;
  }
}

/** Those of sessions that were neither run nor disposed of. */
const folders = new Set<string>();
process.on('exit', () => {
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // On Windows the session has its profile open: it stays in the temporary folder.
    }
  }
});

async function profileFolder(runtimeName: string): Promise<string> {
  try {
    const folder = await mkdtemp(join(tmpdir(), 'onnx-groupnorm-'));
    folders.add(folder);
    return folder;
  } catch (cause) {
    throw unseen(runtimeName, cause);
  }
}

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  folders.delete(folder);
}

const unseen = (runtimeName: string, cause: unknown): SessionError =>
  new SessionError(
    'PROVIDER_UNAVAILABLE',
    `ONNX Runtime runs a part of this model on the CPU, and whether it runs any on ${runtimeName} cannot be seen: ` +
      `there is no profile in ${tmpdir()} (${reasonOf(cause)}); let ${process.platform === 'win32' ? 'TEMP' : 'TMPDIR'} name a folder that can be written`,
    { cause },
  );

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
    try {
      await this.model.dispose();
    } finally {
      await removeFolder(this.folder);
    }
  }

  async #verify(): Promise<void> {
    const counts = await this.#placements();
    if (counts.has(this.runtimeName)) return;
    const where = [...counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'nowhere';
    throw new SessionError(
      'PROVIDER_UNAVAILABLE',
      `ONNX Runtime placed no node of this model on ${this.runtimeName}, but: ${where}; ask for the provider 'cpu' instead`,
    );
  }

  async #placements(): Promise<Map<string, number>> {
    try {
      this.model.session.endProfiling();
      const [file = ''] = await readdir(this.folder);
      return placements(await readFile(join(this.folder, file), 'utf8'));
    } catch (cause) {
      throw unseen(this.runtimeName, cause);
    } finally {
      await removeFolder(this.folder);
    }
  }
}
