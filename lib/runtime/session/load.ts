/** Loads a model on one backend: prepares it for the backend, and gives it the variants that its runs may need. */
import { SessionError } from '../../errors.js';
import { renameLocations } from '../../onnx/protobuf/tensor-walk.js';
import type {
  Backend,
  LoadedModel,
  ModelSource,
  ModelToLoad,
  Platform,
  Provider,
  ProviderFallback,
} from '../core/contract.js';
import { withTypedErrors } from '../core/errors.js';
import { isOrtFormat, prepareOrtFormat } from '../model/ort-format.js';
import { type PreparedModel, prepareModel } from '../model/prepare.js';
import { chooseBackend } from '../core/providers.js';
import type { OpenOptions } from '../core/session-options.js';
import { ModelWithVariants, type VariantSource } from '../model/variants.js';

/** A model that a provider has loaded. */
export interface OpenedModel extends Pick<
  PreparedModel,
  'bfloat16' | 'optionalInputs' | 'groupNorm' | 'needsElements'
> {
  readonly loaded: LoadedModel;
  readonly provider: Provider;
  readonly fallbacks: readonly ProviderFallback[];
}

/** A loaded model, and the way to load it on the next provider. `next` holds the model's bytes: drop it soon. */
export interface Opening {
  readonly opened: OpenedModel;
  /** Loads the model on a later provider of the list, after a run has shown that this one cannot run it. */
  readonly next: ((refusal: SessionError) => Promise<Opening>) | undefined;
}

/**
 * Loads a model on a backend of the provider that the caller asked for.
 * @throws ModelError; SessionError `PROVIDER_UNAVAILABLE`, `MODEL_REJECTED`, `OUT_OF_MEMORY`.
 */
export async function loadModel(
  platform: Platform,
  source: ModelSource,
  asked: Provider,
  backend: Backend,
  options: OpenOptions,
): Promise<Omit<OpenedModel, 'fallbacks'>> {
  requireLayout(backend, options);
  const { prepared, folder } = prepare(platform, source, backend, options);
  const load = loader(backend, folder, asked, options);
  const loaded = await withTypedErrors(
    'MODEL_REJECTED',
    `${source.where}: ONNX Runtime refuses this model`,
    () => load(prepared),
  );
  if (asked === 'cpu' && backend.hasGroupNormKernel && passesTexts(loaded)) {
    // The native kernel does not pass texts. The other backend of `cpu`, onnxruntime-node, does.
    const { backend: other } = await chooseBackend(platform, asked, true, options.providerOptions.get(asked));
    if (other) {
      await loaded.dispose();
      return loadModel(platform, source, asked, other, options);
    }
  }
  const needed = neededVariants(loaded, prepared, backend, options);
  // A variant with other inputs must be loadable, and a file may have changed: these models stay in memory.
  const isReadAgain = source.readAgain !== undefined && needed?.optionalInputs.length === 0;
  const again = isReadAgain ? preparer(platform, source, backend, options) : keeper(prepared);
  const { bfloat16, optionalInputs, groupNorm, needsElements } = prepared;
  return {
    loaded: needed ? new ModelWithVariants(loaded, { ...needed, prepared: again, load }) : loaded,
    provider: backend.provider,
    bfloat16,
    optionalInputs,
    groupNorm,
    needsElements,
  };
}

/** Only the native kernel runs GroupNorm in blocked layout; the next provider of the list may be that. */
function requireLayout(
  { provider, hasGroupNormKernel }: Backend,
  { backend: { layout } }: OpenOptions,
): void {
  if (layout !== 'blocked' || hasGroupNormKernel) return;
  throw new SessionError(
    'PROVIDER_UNAVAILABLE',
    `layout 'blocked' needs the native kernel, and '${provider}' runs without it`,
  );
}

/**
 * Prepares the model for the backend, which gets the paths of the files that were checked: links are followed, and the
 * folder is another one if links lead to the weights there.
 */
function prepare(
  platform: Platform,
  { bytes, where, folder }: ModelSource,
  backend: Backend,
  { groupNorm, limits }: Rewriting,
): { prepared: PreparedModel; folder: string | undefined } {
  const problemOf =
    folder === undefined
      ? undefined
      : (location: string, size: number) => platform.dataFileProblem(where, location, size);
  const prepared = isOrtFormat(bytes)
    ? prepareOrtFormat(bytes, where, groupNorm, backend)
    : prepareModel(bytes, where, problemOf, groupNorm, backend, undefined, limits);
  const { externalLocations } = prepared;
  const real = folder === undefined ? undefined : platform.followDataLinks?.(where, externalLocations);
  if (!real) return { prepared, folder };
  const { names } = real;
  const renamed = {
    bytes: renameLocations(prepared.bytes, names),
    // Two paths may name one file.
    externalLocations: [...new Set(externalLocations.map((location) => names.get(location) ?? location))],
  };
  return { prepared: { ...prepared, ...renamed }, folder: real.folder };
}

/** The options that say how a model is read and rewritten. */
type Rewriting = Pick<OpenOptions, 'groupNorm' | 'limits'>;

const passesTexts = ({ inputs, outputs }: LoadedModel): boolean =>
  [...inputs, ...outputs].some(({ dtype }) => dtype === 'string');

/** Returns which variants runs of the model may need; `undefined` if they need none. */
function neededVariants(
  { outputs }: LoadedModel,
  prepared: PreparedModel,
  { provider, takesOptionalInputs }: Backend,
  options: OpenOptions,
): Pick<VariantSource, 'optionalInputs' | 'prunes'> | undefined {
  const optionalInputs = takesOptionalInputs ? [] : prepared.optionalInputs.map(({ name }) => name);
  const isProfiled = options.backend.profileFilePrefix !== undefined;
  const prunes = outputs.length > 1 && PRUNING.includes(provider) && !isProfiled;
  return prunes || optionalInputs.length > 0 ? { optionalInputs, prunes } : undefined;
}

/** The providers whose models have variants without the outputs that a run does not ask for: memory of GPUs is dear. */
const PRUNING: readonly Provider[] = ['native', 'cpu', 'wasm'];

// The functions below return functions that live as long as the session. They stand apart so that these keep what they
// name, and not the bytes of the model.

/** Returns a function that loads a prepared model, or a variant of it, on the backend. */
function loader(
  backend: Backend,
  folder: string | undefined,
  asked: Provider,
  { backend: options, providerOptions }: OpenOptions,
): (model: ModelToLoad) => Promise<LoadedModel> {
  const own = providerOptions.get(asked);
  return (model) => backend.load(model, folder, options, own);
}

/** Returns a function that reads the model again and prepares it; `undefined` if its file has changed. */
function preparer(
  platform: Platform,
  { where, folder, readAgain }: ModelSource,
  backend: Backend,
  { groupNorm, limits }: Rewriting,
): VariantSource['prepared'] {
  return async () => {
    const bytes = await readAgain!();
    return bytes && prepare(platform, { bytes, where, folder }, backend, { groupNorm, limits }).prepared;
  };
}

/** Returns a function that keeps the prepared model, its bytes included. */
const keeper =
  (prepared: PreparedModel): VariantSource['prepared'] =>
  () =>
    Promise.resolve(prepared);
