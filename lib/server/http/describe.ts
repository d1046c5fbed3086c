/** What the protocol's endpoints say about models: metadata, configuration and statistics. */
import type { TensorInfo } from '../../runtime/core/contract.js';
import type { DType } from '../../tensor.js';
import type { ServedModel } from '../models/served-model.js';
import { MAX_QUEUE_SIZE } from '../batching/options.js';
import type { BatchStatistics, DurationSum } from '../models/statistics.js';
import { datatypeOf } from '../protocol/datatypes.js';

type Described = TensorInfo & { readonly dtype: DType | 'string' };

/** Sequences and maps have no form in the protocol. */
const tensors = (infos: readonly TensorInfo[]): Described[] =>
  infos.filter((info): info is Described => info.dtype !== undefined);

/** A size that only a request tells is -1. A tensor without a declared rank is described as a vector of any length. */
const sizes = ({ shape }: TensorInfo): number[] =>
  shape?.map((dim) => (typeof dim === 'number' ? dim : -1)) ?? [-1];

/** Returns a model's metadata, with the versions that it has. */
export function modelMetadata(model: ServedModel, versions: readonly string[]): object {
  const describe = (info: Described) => ({
    name: info.name,
    datatype: datatypeOf(info.dtype),
    shape: sizes(info),
  });
  return {
    name: model.name,
    versions,
    platform: 'onnxruntime_onnx',
    inputs: tensors(model.inputs).map(describe),
    outputs: tensors(model.outputs).map(describe),
  };
}

/** Returns a model's configuration, in the JSON form of Triton's ModelConfig. */
export function modelConfig(model: ServedModel): object {
  const { maxBatchSize, options } = model;
  const describe = (info: Described) => ({
    name: info.name,
    data_type: info.dtype === 'string' ? 'TYPE_STRING' : `TYPE_${datatypeOf(info.dtype)}`,
    // With batches, the first dimension is left out.
    dims: maxBatchSize === undefined ? sizes(info) : sizes(info).slice(1),
  });
  return {
    name: model.name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    version_policy: { specific: { versions: [Number(model.version)] } },
    max_batch_size: maxBatchSize ?? 0,
    input: tensors(model.inputs).map((info) => ({ ...describe(info), optional: info.optional ?? false })),
    output: tensors(model.outputs).map(describe),
    ...(joinsRequests(model) && { dynamic_batching: dynamicBatching(model) }),
    instance_group: [{ name: model.name, kind: 'KIND_CPU', count: options.instances ?? 1 }],
    default_model_filename: 'model.onnx',
    parameters: {},
  };
}

const MICROSECONDS = 1000;

/** Whether requests may share a run: as in Triton, a model with a batch size need not have dynamic batching. */
function joinsRequests({ maxBatchSize = 1, notJoined, options }: ServedModel): boolean {
  const { preferredBatchSizes = [] } = options;
  return (
    notJoined === undefined &&
    Math.max(...(preferredBatchSizes.length > 0 ? preferredBatchSizes : [maxBatchSize])) > 1
  );
}

function dynamicBatching({ options }: ServedModel): object {
  const { preferredBatchSizes = [], maxQueueDelay = 0, maxQueueSize, queueTimeout } = options;
  return {
    preferred_batch_size: preferredBatchSizes,
    max_queue_delay_microseconds: Math.round(maxQueueDelay * MICROSECONDS),
    preserve_ordering: false,
    default_queue_policy: {
      timeout_action: 'REJECT',
      default_timeout_microseconds: Math.round((queueTimeout ?? 0) * MICROSECONDS),
      allow_timeout_override: options.allowRequestTimeout ?? true,
      max_queue_size: maxQueueSize ?? MAX_QUEUE_SIZE,
    },
  };
}

/** Returns a model's statistics. Clients read every one of these members, so all of them are there from the start. */
export function modelStatistics({ name, version, statistics }: ServedModel): object {
  const { batches, success, fail, queue, cacheHit, cacheMiss } = statistics;
  return {
    name,
    version,
    last_inference: statistics.lastInference,
    inference_count: statistics.inferenceCount,
    execution_count: statistics.executionCount,
    inference_stats: {
      success,
      fail,
      queue,
      ...computeTimes(statistics),
      cache_hit: cacheHit,
      cache_miss: cacheMiss,
    },
    batch_stats: batches.map((batch) => ({ batch_size: batch.batchSize, ...computeTimes(batch) })),
  };
}

const computeTimes = (
  times: Pick<BatchStatistics, 'computeInput' | 'computeInfer' | 'computeOutput'>,
): Record<string, DurationSum> => ({
  compute_input: times.computeInput,
  compute_infer: times.computeInfer,
  compute_output: times.computeOutput,
});
