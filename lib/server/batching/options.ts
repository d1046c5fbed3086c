/** The options of a batcher and of its requests, checked. */
import { typeName } from '../../arrays.js';
import { OptionError } from '../../errors.js';
import { requireKnownOptions } from '../../options.js';
import type { Batch, BatcherOptions, BatcherRunOptions } from './batcher.js';

/** The options of a batcher, with all defaults. */
export interface CheckedBatcherOptions {
  readonly maxBatchSize: number | undefined;
  /** The most samples that requests are joined to; 1 if they are not joined. */
  readonly joinedSize: number;
  readonly preferredBatchSizes: readonly number[];
  readonly maxQueueDelay: number;
  readonly maxQueueSize: number;
  readonly queueTimeout: number;
  readonly instances: number;
  readonly onBatch: (batch: Batch) => void;
}

const OPTIONS: readonly (keyof BatcherOptions)[] = [
  'maxBatchSize',
  'maxQueueDelay',
  'preferredBatchSizes',
  'maxQueueSize',
  'queueTimeout',
  'instances',
  'onBatch',
];

/** How many requests may wait unless the options say otherwise. */
export const MAX_QUEUE_SIZE = 1024;

/** Timers of Node take 32 bits. */
const LONGEST = 2 ** 31 - 1;

/** @throws OptionError. */
export function requireBatcherOptions(options: BatcherOptions): CheckedBatcherOptions {
  requireKnownOptions('createBatcher', options, OPTIONS);
  const { maxBatchSize, maxQueueDelay = 0, maxQueueSize = MAX_QUEUE_SIZE } = options;
  const preferredBatchSizes: readonly number[] = options.preferredBatchSizes ?? [];
  const { queueTimeout, instances = 1, onBatch } = options;
  if (maxBatchSize !== undefined) requireInteger('maxBatchSize', maxBatchSize, 1);
  requireList(preferredBatchSizes);
  for (const size of preferredBatchSizes) {
    requireInteger('preferredBatchSizes', size, 1);
    ensure(size <= (maxBatchSize ?? 1), `preferredBatchSizes has ${size}, which is above maxBatchSize`);
  }
  ensure(
    isNumber(maxQueueDelay) && maxQueueDelay >= 0 && maxQueueDelay <= LONGEST,
    `maxQueueDelay must be a number of milliseconds from 0 to ${LONGEST}, not ${String(maxQueueDelay)}`,
  );
  requireInteger('maxQueueSize', maxQueueSize, 0);
  requireTimeout('createBatcher', queueTimeout);
  requireInteger('instances', instances, 1);
  ensure(onBatch === undefined || typeof onBatch === 'function', 'onBatch must be a function');
  return {
    maxBatchSize,
    joinedSize: preferredBatchSizes.length > 0 ? Math.max(...preferredBatchSizes) : (maxBatchSize ?? 1),
    preferredBatchSizes,
    maxQueueDelay,
    maxQueueSize,
    queueTimeout: queueTimeout ?? Infinity,
    instances,
    // What it throws is its caller's, and must not fail a batch.
    onBatch: (batch) => onBatch && queueMicrotask(() => onBatch(batch)),
  };
}

/** @throws OptionError. */
export function requireRunOptions(options: BatcherRunOptions): BatcherRunOptions {
  requireKnownOptions('run', options, ['fetches', 'signal', 'queueTimeout']);
  const { signal, queueTimeout } = options;
  if (signal !== undefined && typeName(signal) !== 'AbortSignal')
    throw new OptionError('INVALID_OPTION', "run: 'signal' must be an AbortSignal");
  requireTimeout('run', queueTimeout);
  return options;
}

function requireTimeout(where: string, timeout: number | undefined): void {
  if (timeout === undefined || (isNumber(timeout) && timeout > 0 && timeout <= LONGEST)) return;
  const range = `a number of milliseconds above 0, up to ${LONGEST}`;
  throw new OptionError('INVALID_OPTION', `${where}: queueTimeout must be ${range}, not ${String(timeout)}`);
}

function requireInteger(name: string, value: number, least: number): void {
  ensure(
    Number.isSafeInteger(value) && value >= least,
    `${name} must be an integer of at least ${least}, not ${String(value)}`,
  );
}

function requireList(sizes: unknown): void {
  ensure(Array.isArray(sizes), 'preferredBatchSizes must be a list of numbers of samples');
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

function ensure(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new OptionError('INVALID_OPTION', `createBatcher: ${problem}`);
}
