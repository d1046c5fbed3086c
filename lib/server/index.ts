/**
 * The entry `onnx-groupnorm/server`: runs a model for many callers at once.
 * @module onnx-groupnorm/server
 */
export type { BatchedSession } from './batching/runner.js';
export {
  type Batch,
  type Batcher,
  type BatcherOptions,
  type BatcherResult,
  type BatcherRunOptions,
  createBatcher,
  type RequestTimings,
} from './batching/batcher.js';
export { ServedModel, type ServingEvents, type ServingOptions } from './models/served-model.js';
export {
  type BatchStatistics,
  type DurationSum,
  FAILURE_REASONS,
  type FailureReason,
  type ModelStatistics,
  type RequestEnd,
} from './models/statistics.js';
export {
  type IndexEntry,
  ModelRepository,
  type ModelState,
  type RepositoryOptions,
} from './models/model-repository.js';
export type { ServerLog } from './http/app.js';
export { type CloseOptions, createServer, type Server } from './http/server.js';
export type { ServerOptions } from './http/server-options.js';
