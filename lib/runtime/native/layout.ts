/**
 * Loads a model so that GroupNorm runs in ONNX Runtime's blocked layout. Only ONNX Runtime can put convolutions into that
 * layout, so a model is loaded twice:
 *
 * 1. as it is, and ONNX Runtime writes the graph that it has optimized, and the weights that it has reordered, to files of a
 *    private temporary folder;
 * 2. from these files, rewritten (`rewrite/blocked/layout.ts`), without further optimization.
 *
 * The folder is removed at once: the session keeps the file of weights mapped. Whatever goes wrong on the way, the model runs in
 * plain layout.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SessionError } from '../../errors.js';
import { withTemporaryFolder } from '../../files/temporary.js';
import { NO_LIMITS } from '../../limits.js';
import { NCHWC_DOMAIN } from '../../lowering/types.js';
import { Model } from '../../onnx/model.js';
import { readOutline } from '../../onnx/graph/outline.js';
import { useBlockedLayout } from '../../rewrite/blocked/layout.js';
import type { Layout, LoadedLayout, ModelToLoad } from '../core/contract.js';
import type { Addon, AddonSession, AddonSessionOptions, AddonValueInfo } from './addon.js';
import { blockSize } from './block-size.js';

/** A session of the addon, and the layout in which it runs GroupNorm. */
export interface SessionInLayout extends LoadedLayout {
  readonly session: AddonSession;
  /** The inputs and outputs of the model as it is: of a rewritten graph, ONNX Runtime may know more sizes. */
  readonly described: Described;
}

type Described = Pick<AddonSession, 'inputs' | 'outputs'>;

/**
 * Loads a model in the layout that the caller asks for. `auto` is the blocked layout where that can be had.
 * @param folder The folder of the model's external data.
 * @throws SessionError `LAYOUT_UNAVAILABLE` if the caller asks for `blocked`, and it cannot be had; the runtime's own errors.
 */
export async function loadInLayout(
  addon: Addon,
  model: ModelToLoad,
  folder: string | undefined,
  options: AddonSessionOptions,
  layout: Layout,
): Promise<SessionInLayout> {
  const loaded =
    layout === 'plain'
      ? await loadPlain(addon, model, options)
      : await loadBlocked(addon, model, folder, options);
  if (layout !== 'blocked' || loaded.layout === 'blocked') return loaded;
  loaded.session.dispose();
  throw new SessionError(
    'LAYOUT_UNAVAILABLE',
    `layout 'blocked' is not possible: ${loaded.layoutReason}. Use layout 'auto', which then runs the model in plain layout`,
  );
}

const loadPlain = async (
  addon: Addon,
  model: ModelToLoad,
  options: AddonSessionOptions,
  layoutReason?: string,
): Promise<SessionInLayout> => inPlainLayout(await addon.createSession(model.bytes, options), layoutReason);

const inPlainLayout = (session: AddonSession, layoutReason: string | undefined): SessionInLayout => ({
  session,
  described: session,
  layout: 'plain',
  layoutReason,
});

/** Loads a model in blocked layout, or in plain layout with the reason. */
async function loadBlocked(
  addon: Addon,
  model: ModelToLoad,
  folder: string | undefined,
  options: AddonSessionOptions,
): Promise<SessionInLayout> {
  let reason: string | undefined;
  try {
    reason = await findObstacle(model, folder, options);
    if (reason === undefined) {
      return await withTemporaryFolder((temporary) => loadTwice(addon, model, options, temporary));
    }
  } catch (error) {
    reason = failure(error);
  }
  return loadPlain(addon, model, options, reason);
}

/** What ONNX Runtime may write before a message: the place in its source, with the signature of the function. */
const SOURCE_PLACE = /^.*\[ONNXRuntimeError\] : \d+ : \w+ : /s;

/** Returns the reason for plain layout in one line, without a full stop. */
function failure(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = message
    .replace(SOURCE_PLACE, '')
    .trim()
    .replace(/\.$/, '')
    .replace(/\s*\n\s*/g, ' ');
  return `loading for the blocked layout failed: ${line}`;
}

/** GraphOptimizationLevel of ONNX Runtime's C interface: the lowest level, and the level that has the layout. */
const [DISABLED, ALL] = [0, 99];
const UNOPTIMIZED = { graphOptimizationLevel: DISABLED, externalFiles: {}, freeDimensions: {} };

/** A model file holds less, and a temporary folder may be small. */
const MOST_BYTES = 2 ** 31;

/** Returns why a model is loaded in plain layout at once: the layout is of no use, or cannot be had. */
async function findObstacle(
  { bytes, externalLocations, hasNormBetweenConvolutions }: ModelToLoad,
  folder: string | undefined,
  options: AddonSessionOptions,
): Promise<string | undefined> {
  if (!hasNormBetweenConvolutions) return 'the model has no GroupNorm between 2-D convolutions';
  if (options.graphOptimizationLevel !== ALL) {
    return "ONNX Runtime uses the blocked layout at graphOptimizationLevel 'all' only";
  }
  if (options.optimizedModelPath !== '') {
    return 'optimizedModelFilePath asks for the model as ONNX Runtime optimizes it';
  }
  if (process.platform === 'win32') return 'Windows cannot remove a temporary file of weights that is in use';
  let size = bytes.byteLength;
  for (const location of externalLocations) size += (await stat(join(folder ?? '', location))).size;
  return size > MOST_BYTES ? `the model is larger than ${MOST_BYTES} bytes` : undefined;
}

const NO_GAIN = 'ONNX Runtime runs no convolutions around a GroupNorm of this model in blocked layout';

/** The files that ONNX Runtime writes. Smaller tensors stay in the model: shapes, scales of Resize. */
const MODEL_FILE = 'model.onnx';
const WEIGHTS_FILE = 'weights.bin';
const WRITING = {
  'session.optimized_model_external_initializers_file_name': WEIGHTS_FILE,
  'session.optimized_model_external_initializers_min_size_in_bytes': '1024',
};

async function loadTwice(
  addon: Addon,
  model: ModelToLoad,
  options: AddonSessionOptions,
  folder: string,
): Promise<SessionInLayout> {
  const block = await blockSize(addon, { ...options, ...UNOPTIMIZED, profilePrefix: '' });
  const first = await addon.createSession(model.bytes, {
    ...options,
    profilePrefix: '',
    optimizedModelPath: join(folder, MODEL_FILE),
    config: { ...options.config, ...WRITING },
  });
  let reason = NO_GAIN;
  try {
    const session = await loadRewritten(addon, first, block, options, folder);
    if (session) {
      const { inputs, outputs } = first;
      first.dispose();
      return { session, described: { inputs, outputs }, layout: 'blocked', layoutReason: undefined };
    }
  } catch (error) {
    reason = failure(error);
  }
  // The first session runs the model too, but writes no profile.
  if (options.profilePrefix === '') return inPlainLayout(first, reason);
  first.dispose();
  return loadPlain(addon, model, options, reason);
}

/**
 * Rewrites the model that ONNX Runtime has written, and loads it. Returns `undefined` if no GroupNorm gains by it.
 * @param first The session that has written the model.
 */
async function loadRewritten(
  addon: Addon,
  first: AddonSession,
  block: number,
  options: AddonSessionOptions,
  folder: string,
): Promise<AddonSession | undefined> {
  const model = await readOptimized(folder);
  if (useBlockedLayout(model, block) === 0) return undefined;
  const config = { ...options.config, 'session.model_external_initializers_file_folder_path': folder };
  const session = await addon.createSession(model.encode(), { ...options, ...UNOPTIMIZED, config });
  if (hasSame(session, first)) return session;
  session.dispose();
  throw new Error('the inputs and outputs of the rewritten model are others');
}

const hasSame = (rewritten: Described, first: Described): boolean =>
  areSame(rewritten.inputs, first.inputs) && areSame(rewritten.outputs, first.outputs);

const areSame = (rewritten: readonly AddonValueInfo[], first: readonly AddonValueInfo[]): boolean =>
  rewritten.length === first.length && rewritten.every((info, index) => isSame(info, first[index]!));

/** Returns whether two descriptions agree in what the second one says. A shape that it does not know is empty. */
const isSame = (rewritten: AddonValueInfo, { name, type, shape }: AddonValueInfo): boolean =>
  rewritten.name === name &&
  rewritten.type === type &&
  (shape.length === 0 || shape.length === rewritten.shape.length) &&
  shape.every((size, axis) => size === '' || size === rewritten.shape[axis]);

/** Reads the model that ONNX Runtime has written, and checks that it has the operators and the weights that it needs. */
async function readOptimized(folder: string): Promise<Model> {
  const bytes = await readFile(join(folder, MODEL_FILE));
  const version = readOutline(bytes, () => undefined).opsets.get(NCHWC_DOMAIN);
  if (version !== 1) throw new Error(`ONNX Runtime has version ${version} of ${NCHWC_DOMAIN}, not 1`);
  const model = Model.decode(bytes, 'the model that ONNX Runtime has optimized', NO_LIMITS);
  for (const [location, { size }] of model.externalFiles) {
    // The file is mapped: where it is too short, reading would end the process.
    const found = (await stat(join(folder, location))).size;
    if (found < size) throw new Error(`the temporary file of weights has ${found} bytes of ${size}`);
  }
  return model;
}
