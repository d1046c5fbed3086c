/** The models of a server: which there are, in what state, and how they come and go while requests run. */
import { ServerError } from '../../errors.js';
import { suggestion } from '../../nearest.js';
import { findModels } from './layout.js';
import { RepositoryModel } from './repository-model.js';
import type { ServedModel, ServingEvents, ServingOptions } from './served-model.js';
import { Turns } from './turns.js';

/** Whether a version of a model takes requests. */
export type ModelState = 'READY' | 'LOADING' | 'UNLOADING' | 'UNAVAILABLE';

/** One version of a model, in the index of a repository. */
export interface IndexEntry {
  /** The name of the model. */
  readonly name: string;
  /** A number, as text. */
  readonly version: string;
  /** Whether it takes requests. */
  readonly state: ModelState;
  /** Why the version is unavailable, or why the files of a ready version are newer than it; else empty. */
  readonly reason: string;
}

/** What a repository serves, and how. */
export interface RepositoryOptions extends ServingEvents {
  /** A model's file or folder, a folder of models, or a repository as Triton lays it out. */
  readonly path: string;
  /** The name of the model, where the path holds exactly one. */
  readonly modelName?: string | undefined;
  /** How models are served where their `config.pbtxt` does not say. */
  readonly serving?: ServingOptions | undefined;
  /** Called when a version has another state or reason; with the model if it is ready. */
  readonly onState?: ((entry: IndexEntry, model: ServedModel | undefined) => void) | undefined;
}

/** The models that load at once: more would fill the memory with files before the first is ready. */
const LOADS_AT_ONCE = 2;

/** The models of a path. It has none before the first {@link ModelRepository.refresh}. */
export class ModelRepository {
  readonly #options: RepositoryOptions;
  readonly #models = new Map<string, RepositoryModel>();
  readonly #loads = new Turns(LOADS_AT_ONCE);
  readonly #refreshes = new Turns(1);
  #hasRead = false;
  #isDisposed = false;

  constructor(options: RepositoryOptions) {
    this.#options = options;
  }

  /** Whether the path has been read, and every model that was not unloaded has a version that takes requests. */
  get isReady(): boolean {
    return this.#hasRead && !this.#isDisposed && [...this.#models.values()].every((model) => model.isReady);
  }

  /** Returns every version of every model, by name, the newest version first. */
  index(): readonly IndexEntry[] {
    const models = [...this.#models].sort(([a], [b]) => (a < b ? -1 : 1));
    return models.flatMap(([, model]) => model.index());
  }

  /**
   * Returns a model that takes requests. Call its `use` at once, without an `await` before it: then it does not end before the request
   * has.
   * @param version Default: the newest that takes requests.
   * @throws ServerError `MODEL_NOT_FOUND`; `MODEL_NOT_READY` with the reason.
   */
  get(name: string, version?: string): ServedModel {
    return this.#require(name).get(version);
  }

  /**
   * Reads the path again: loads models that are new or have changed, ends those that are gone, and leaves the others. A model that
   * has changed serves its earlier files until the new ones are loaded. A model that cannot be loaded does not stop the
   * others; the index says why.
   * @param onlySettled Whether to leave files that have changed since the last look, because they may not be complete yet.
   *   Default false.
   * @throws ServerError `REPOSITORY_INVALID` if the path cannot be read or holds no model; models stay as they are then.
   */
  async refresh({ onlySettled = false } = {}): Promise<void> {
    await this.#refreshes.take(async () => {
      const { path, modelName } = this.#options;
      const found = await findModels(path, modelName);
      const names = new Set(found.map(({ name }) => name));
      const gone = [...this.#models].filter(([name]) => !names.has(name));
      await Promise.all([
        ...found.map((model) => this.#model(model.name).update(model, { onlySettled, force: false })),
        ...gone.map(async ([name, model]) => {
          await model.unload('its files are gone');
          if (!model.isWanted) this.#models.delete(name);
        }),
      ]);
      this.#hasRead = true;
    });
  }

  /**
   * Loads a model that is new, was unloaded, has changed or could not be loaded.
   * @throws ServerError `MODEL_NOT_FOUND`; `MODEL_NOT_READY` with the reason if it cannot be loaded; `REPOSITORY_INVALID`.
   */
  async load(name: string): Promise<void> {
    const { path, modelName } = this.#options;
    const found = (await findModels(path, modelName)).find((model) => model.name === name);
    if (!found) throw this.#unknown(name);
    const model = this.#model(name);
    await model.update(found, { onlySettled: false, force: true });
    model.get();
  }

  /**
   * Unloads a model when its running requests have ended; new requests are refused at once. It stays unloaded until `load`.
   * @throws ServerError `MODEL_NOT_FOUND`.
   */
  async unload(name: string): Promise<void> {
    await this.#require(name).unload('unloaded');
  }

  /**
   * Calls {@link refresh} again and again. Files count as changed when they are the same at two looks: a copy that is under way is left
   * until it is complete.
   * @param onError Called with what `refresh` throws.
   * @returns A function that ends it.
   */
  watch(milliseconds: number, onError: (error: unknown) => void): () => void {
    let timer: NodeJS.Timeout;
    let isOver = false;
    const look = async () => {
      await this.refresh({ onlySettled: true }).catch(onError);
      if (!isOver) timer = setTimeout(() => void look(), milliseconds);
    };
    timer = setTimeout(() => void look(), milliseconds);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  /** Unloads all models when their running requests have ended. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    await this.#refreshes.take(() => Promise.resolve());
    await Promise.all([...this.#models.values()].map((model) => model.unload('the server ends')));
  }

  #model(name: string): RepositoryModel {
    let model = this.#models.get(name);
    if (!model) this.#models.set(name, (model = new RepositoryModel(name, this.#options, this.#loads)));
    return model;
  }

  #require(name: string): RepositoryModel {
    const model = this.#models.get(name);
    if (model) return model;
    throw this.#hasRead
      ? this.#unknown(name)
      : new ServerError('MODEL_NOT_READY', 'the models are not loaded yet');
  }

  #unknown(name: string): ServerError {
    const known = [...this.#models.keys()];
    const text = `there is no model '${name}'${suggestion(name, known)}`;
    return new ServerError('MODEL_NOT_FOUND', text);
  }
}
