/**
 * The placement check: ONNX Runtime runs on the CPU what a provider has no kernel for, and does not say so. A model
 * loads without that fallback; if ONNX Runtime refuses it so, a profile of its first run shows which nodes ran where.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SessionError } from '../../errors.js';
import { reasonOf } from '../../files/system-error.js';
import type { AnyTensor } from '../../tensor.js';
import type {
  BackendOptions,
  LoadedModel,
  BackendRunOptions,
  TensorInfo,
  AnyTensorRecord,
} from '../core/contract.js';
import { isLeftToCpu } from '../core/errors.js';
import type { NodeModel, NodeOptions } from './model.js';

/**
 * Loads a model that runs on the provider: all of it, or at least one node, which the first run checks. A caller who
 * asks for a profile sees the placement there, and gets no further check.
 * @param runtimeName ONNX Runtime's name of the provider, such as `CUDAExecutionProvider`.
 */
export async function loadWithPlacementCheck(
  runtimeName: string,
  options: BackendOptions,
  load: (options: NodeOptions) => Promise<NodeModel>,
): Promise<LoadedModel> {
  // A model that is refused would leave an empty profile of the caller's behind.
  if (options.profileFilePrefix !== undefined) return load(options);
  try {
    return await load({ ...options, cpuFallback: false });
  } catch (error) {
    if (!isLeftToCpu(error)) throw error;
  }
  const folder = await profileFolder(runtimeName);
  try {
    const model = await load({ ...options, profileFilePrefix: join(folder, 'run') });
    return new PlacementCheckedModel(model, runtimeName, folder);
  } catch (error) {
    await removeFolder(folder);
    throw error;
  }
}

/** Creates the folder of a profile. It stays behind if the process ends before the first run and without `dispose`. */
async function profileFolder(runtimeName: string): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), 'onnx-groupnorm-'));
  } catch (cause) {
    throw placementUnknown(runtimeName, cause);
  }
}

const removeFolder = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });

/** A model that is profiled in its first run, and refuses its results if no node ran on the provider. */
class PlacementCheckedModel implements LoadedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  #check: Promise<void> | undefined;

  constructor(
    readonly model: NodeModel,
    readonly runtimeName: string,
    readonly folder: string,
  ) {
    this.inputs = model.inputs;
    this.outputs = model.outputs;
  }

  async run(feeds: AnyTensorRecord, options: BackendRunOptions): Promise<Record<string, AnyTensor>> {
    const results = await this.model.run(feeds, options);
    this.#check ??= this.#checkPlacement();
    await this.#check;
    return results;
  }

  async dispose(): Promise<void> {
    try {
      await this.model.dispose();
    } finally {
      await removeFolder(this.folder);
    }
  }

  async #checkPlacement(): Promise<void> {
    const counts = await this.#readPlacements();
    if (counts.has(this.runtimeName)) return;
    const where = [...counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
    throw new SessionError(
      'PROVIDER_UNAVAILABLE',
      `ONNX Runtime did not place a node of this model on ${this.runtimeName} (nodes per provider: ${where}); ` +
        "ask for the provider 'cpu' instead",
    );
  }

  async #readPlacements(): Promise<Map<string, number>> {
    try {
      this.model.session.endProfiling();
      const [file = ''] = await readdir(this.folder);
      return placements(await readFile(join(this.folder, file), 'utf8'));
    } catch (cause) {
      throw placementUnknown(this.runtimeName, cause);
    } finally {
      await removeFolder(this.folder);
    }
  }
}

/** Counts the nodes of a profile by the execution provider that ran them, under ONNX Runtime's names. */
export function placements(profile: string): Map<string, number> {
  const events = JSON.parse(profile) as { cat?: string; args?: { provider?: string } }[];
  const counts = new Map<string, number>();
  for (const { cat, args } of events) {
    if (cat !== 'Node' || !args?.provider) continue;
    counts.set(args.provider, (counts.get(args.provider) ?? 0) + 1);
  }
  return counts;
}

const placementUnknown = (runtimeName: string, cause: unknown): SessionError =>
  new SessionError(
    'PROVIDER_UNAVAILABLE',
    `ONNX Runtime runs a part of this model on the CPU. Only a profile shows whether it runs a node on ${runtimeName}, ` +
      `and there is no profile in ${tmpdir()} (${reasonOf(cause)}). ` +
      `Set ${process.platform === 'win32' ? 'TEMP' : 'TMPDIR'} to a folder that can be written`,
    { cause },
  );
