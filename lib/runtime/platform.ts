/** What a session needs of the place that it is in: Node or a browser. */
import type { Choice } from './choice.js';
import type { Provider } from './providers.js';

/** A model's bytes, and how messages call it. */
export interface ModelSource {
  readonly bytes: Uint8Array;
  readonly where: string;
  /** Where external data is looked for: a folder, or a URL; nothing for a model that was given as bytes. */
  readonly folder: string | undefined;
}

/** One for Node, one for browsers. */
export interface Platform {
  /** What runs a model where the caller does not say. */
  readonly defaultProvider: Provider;
  /** Reads a model that was named by its path or URL. */
  readModel(name: string): Promise<ModelSource>;
  /** Whether a file is there, as far as that can be told without reading it. */
  hasFile(folder: string, name: string): boolean;
  /**
   * The best runtime of a provider that can be used.
   * @param asked Whether the caller asked for a way to run GroupNormalization.
   */
  chooseBackend(provider: Provider, asked: boolean): Promise<Choice>;
}
