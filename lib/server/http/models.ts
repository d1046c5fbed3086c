/** What the HTTP server needs of the repository of its models. */
import type { ModelRepository } from '../models/model-repository.js';
import type { ServedModel } from '../models/served-model.js';

/** The models of a server. */
export type Models = Pick<ModelRepository, 'get' | 'index' | 'isReady' | 'load' | 'unload'>;

/** Returns the versions that take requests; of each model the newest first. */
export const loadedModels = (models: Models): ServedModel[] =>
  models
    .index()
    .filter(({ state }) => state === 'READY')
    .map(({ name, version }) => models.get(name, version));

/** The parameters in the path of a request about a model. */
export interface ModelParams {
  readonly model: string;
  readonly version?: string;
}
