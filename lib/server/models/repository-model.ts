/** One model of a repository: its versions, loaded or not. */
import { resolve, sep } from 'node:path';
import { ServerError } from '../../errors.js';
import { fingerprintOf, type FoundModel, type FoundVersion, modelFileOf } from './layout.js';
import { DEFAULT_CONFIG, type ModelConfig, readModelConfig } from './model-config.js';
import type { IndexEntry, ModelState, RepositoryOptions } from './model-repository.js';
import { ServedModel } from './served-model.js';
import { Turns } from './turns.js';

/** A version that the repository has, loaded or not. */
interface Slot {
  readonly version: string;
  state: ModelState;
  reason: string;
  model: ServedModel | undefined;
  /** Of the files that were loaded, or could not be. */
  fingerprint: string;
}

interface Version extends FoundVersion {
  readonly fingerprint: string;
}

/** How to take the files of a model. */
interface Update {
  /** Whether to leave files that differ from those of the last look. */
  readonly onlySettled: boolean;
  /** Whether to load a model that was unloaded or could not be loaded, though its files have not changed. */
  readonly force: boolean;
}

export class RepositoryModel {
  readonly #slots = new Map<string, Slot>();
  /** Updates and the end of the model, one after another. */
  readonly #turns = new Turns(1);
  /** Earlier files of versions that have changed, which end when their requests have. */
  readonly #replaced = new Set<Promise<void>>();
  #isWanted = true;
  /** Of the files at the last update, and at the last look. */
  #taken: string | undefined;
  #seen: string | undefined;

  constructor(
    readonly name: string,
    readonly options: RepositoryOptions,
    readonly loads: Turns,
  ) {}

  /** Whether the model is to be loaded: it was not unloaded since. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Whether a version takes requests, or the model was unloaded, or its files are left until they are complete. */
  get isReady(): boolean {
    const isLeft = this.#slots.size === 0;
    return !this.#isWanted || isLeft || this.#newest().some(({ state }) => state === 'READY');
  }

  index(): readonly IndexEntry[] {
    return this.#newest().map((slot) => this.#entry(slot));
  }

  /** @throws ServerError `MODEL_NOT_FOUND`, `MODEL_NOT_READY`. */
  get(version?: string): ServedModel {
    const slots = this.#newest();
    const among = version === undefined ? slots : slots.filter((slot) => slot.version === version);
    const ready = among.find(({ state }) => state === 'READY');
    if (ready && this.#isWanted) return ready.model!;
    if (version !== undefined && among.length === 0) {
      const known = slots.map((slot) => slot.version).join(', ') || 'none';
      throw new ServerError(
        'MODEL_NOT_FOUND',
        `model '${this.name}' has no version '${version}'; it has: ${known}`,
      );
    }
    const [first] = among;
    const what =
      version === undefined ? `model '${this.name}'` : `version ${version} of model '${this.name}'`;
    const state = (first?.state ?? 'LOADING').toLowerCase();
    throw new ServerError(
      'MODEL_NOT_READY',
      `${what} is ${state}${first?.reason ? `: ${first.reason}` : ''}`,
    );
  }

  /** Loads what is new or has changed, and ends versions that are not served any more. It does not fail. */
  async update(found: FoundModel, { onlySettled, force }: Update): Promise<void> {
    await this.#turns.take(async () => {
      if (!force && !this.#isWanted) return;
      this.#isWanted = true;
      const versions = await Promise.all(
        found.versions.map(async (version) => ({
          ...version,
          fingerprint: await fingerprintOf(version, found.configPath),
        })),
      );
      const fingerprint = versions.map((version) => version.fingerprint).join('\n\n');
      const isSettled = fingerprint === this.#seen;
      this.#seen = fingerprint;
      if (!force && (fingerprint === this.#taken || (onlySettled && !isSettled))) return;
      this.#taken = fingerprint;
      await this.#take(found, versions);
    });
  }

  async #take(found: FoundModel, versions: readonly Version[]): Promise<void> {
    const config = await configOf(found).catch((error: unknown) => error as Error);
    const chosen = config instanceof Error ? [] : config.choose(versions);
    if (config instanceof Error || chosen.length === 0) {
      const none = `version_policy names none of the versions ${versions.map(({ version }) => version).join(', ')}`;
      this.#fail(this.#slot(versions[0]!.version), config instanceof Error ? config : new Error(none));
      return;
    }
    await Promise.all(chosen.map((version) => this.#load(version as Version, config)));
    for (const { version, model } of this.#newest()) {
      if (chosen.some((one) => one.version === version)) continue;
      this.#slots.delete(version);
      this.#replace(model);
    }
  }

  async #load(version: Version, config: ModelConfig): Promise<void> {
    const slot = this.#slot(version.version);
    if (slot.model && slot.fingerprint === version.fingerprint) return;
    slot.fingerprint = version.fingerprint;
    if (!slot.model) this.#set(slot, 'LOADING', '');
    const { serving, ...events } = this.options;
    const session = { ...serving?.session, ...config.serving.session };
    const options = { ...serving, ...config.serving, session };
    const mustBatch = config.serving.maxBatchSize !== undefined;
    try {
      const model = await this.loads.take(async () => {
        const path = await modelFileOf(version, config.fileName);
        const identity = { name: this.name, version: version.version };
        return ServedModel.load(identity, path, options, mustBatch, events);
      });
      this.#replace(slot.model);
      slot.model = model;
      this.#set(slot, 'READY', '');
    } catch (error) {
      this.#fail(slot, error as Error);
    }
  }

  /** Ends a model that other files have replaced, when its requests have ended. */
  #replace(model: ServedModel | undefined): void {
    if (!model) return;
    const ending = model.end().finally(() => this.#replaced.delete(ending));
    this.#replaced.add(ending);
  }

  /** Refuses new requests at once, and frees the model when the running ones have ended. */
  async unload(reason: string): Promise<void> {
    this.#isWanted = false;
    for (const slot of this.#newest()) if (slot.state === 'READY') this.#set(slot, 'UNLOADING', '');
    await this.#turns.take(async () => {
      for (const slot of this.#newest()) {
        await slot.model?.end();
        slot.model = undefined;
        this.#set(slot, 'UNAVAILABLE', reason);
      }
      await Promise.all(this.#replaced);
    });
  }

  #slot(version: string): Slot {
    let slot = this.#slots.get(version);
    if (!slot) {
      slot = { version, state: 'LOADING', reason: '', model: undefined, fingerprint: '' };
      this.#slots.set(version, slot);
    }
    return slot;
  }

  #fail(slot: Slot, { message }: Error): void {
    // The index is for clients, which need not know where the server's files lie.
    const reason = message.replaceAll(resolve(this.options.path) + sep, '');
    if (slot.model) this.#set(slot, 'READY', `the files have changed, and cannot be loaded: ${reason}`);
    else this.#set(slot, 'UNAVAILABLE', reason);
  }

  #set(slot: Slot, state: ModelState, reason: string): void {
    Object.assign(slot, { state, reason });
    this.options.onState?.(this.#entry(slot), state === 'READY' ? slot.model : undefined);
  }

  #newest(): Slot[] {
    return [...this.#slots.values()].sort((a, b) => Number(b.version) - Number(a.version));
  }

  #entry({ version, state, reason }: Slot): IndexEntry {
    return { name: this.name, version, state, reason };
  }
}

const configOf = ({ configPath }: FoundModel): Promise<ModelConfig> =>
  configPath === undefined ? Promise.resolve(DEFAULT_CONFIG) : readModelConfig(configPath);
