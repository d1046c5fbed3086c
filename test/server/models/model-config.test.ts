import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseModelConfig } from '../../../lib/server/models/model-config.js';
import { caught } from '../../support/temporary.js';

const parse = (text: string) => parseModelConfig(text, 'config.pbtxt');
const problem = (text: string) => caught(() => parse(text)) as { code: string; message: string };
const versions = ['12', '3', '1'].map((version) => ({ version, path: version }));
const chosen = (text: string) =>
  parse(text)
    .choose(versions)
    .map(({ version }) => version);

describe("Triton's configuration of a model", () => {
  it('parseModelConfig reads what concerns batching, instances and threads', () => {
    const { fileName, serving } = parse(`
      name: "unet"
      platform: "onnxruntime_onnx"
      max_batch_size: 8
      input [ { name: "x" data_type: TYPE_FP32 dims: [ 32, -1, -1 ] } ]
      output [ { name: "y" data_type: TYPE_FP32 dims: [ 32, -1, -1 ] } ]
      default_model_filename: "unet.onnx"
      dynamic_batching {
        preferred_batch_size: [ 4, 8 ]
        max_queue_delay_microseconds: 500
        default_queue_policy {
          timeout_action: REJECT
          default_timeout_microseconds: 20000
          allow_timeout_override: true
          max_queue_size: 64
        }
      }
      instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_CPU } ]
      optimization { graph { level: 1 } }
      parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
      parameters { key: "execution_mode" value: { string_value: "1" } }
      parameters { key: "enable_mem_arena" value: { string_value: "0" } }
    `);
    expect(fileName).to.equal('unet.onnx');
    expect(serving).to.deep.equal({
      maxBatchSize: 8,
      preferredBatchSizes: [4, 8],
      maxQueueDelay: 0.5,
      queueTimeout: 20,
      maxQueueSize: 64,
      allowRequestTimeout: true,
      instances: 3,
      session: {
        graphOptimizationLevel: 'extended',
        executionMode: 'parallel',
        intraOpNumThreads: 2,
        enableCpuMemArena: false,
      },
    });
  });

  it('parseModelConfig does not join requests without dynamic_batching, and takes any size at max_batch_size 0', () => {
    expect(parse('max_batch_size: 8').serving).to.deep.include({ maxBatchSize: 8, preferredBatchSizes: [1] });
    expect(parse('max_batch_size: 8 dynamic_batching { }').serving).to.deep.include({
      maxBatchSize: 8,
      preferredBatchSizes: undefined,
      maxQueueDelay: 0,
      allowRequestTimeout: true,
    });
    const none = parse('max_batch_size: 0').serving;
    expect(none).to.have.property('maxBatchSize', undefined);
    expect(parse('backend: "onnxruntime"').serving).to.deep.equal({ session: {} });
  });

  it('parseModelConfig lets late requests keep their place under DELAY, and fixes the timeout unless a request may change it', () => {
    const { serving } = parse(`dynamic_batching { default_queue_policy {
      timeout_action: DELAY default_timeout_microseconds: 5 } }`);
    expect(serving).to.not.have.property('queueTimeout');
    expect(serving).to.have.property('allowRequestTimeout', false);
  });

  it('parseModelConfig chooses the versions that version_policy names, by default the newest', () => {
    expect(chosen('')).to.deep.equal(['12']);
    expect(chosen('version_policy { latest { num_versions: 2 } }')).to.deep.equal(['12', '3']);
    expect(chosen('version_policy: { all { } }')).to.deep.equal(['12', '3', '1']);
    expect(chosen('version_policy { specific { versions: [1, 3] } }')).to.deep.equal(['3', '1']);
  });

  it('parseModelConfig refuses what this server does not do, and fields that do not exist', () => {
    expect(problem('backend: "pytorch"')).to.have.property('code', 'CONFIG_INVALID');
    expect(problem('backend: "pytorch"').message).to.contain("backend is 'pytorch'");
    expect(problem('platform: "tensorrt_plan"').message).to.contain('platform');
    expect(problem('ensemble_scheduling { }').message).to.contain('ensemble_scheduling');
    expect(problem('default_model_filename: "../x.onnx"').message).to.contain('a name, not a path');
    expect(problem('max_batchsize: 8').message).to.contain("did you mean 'max_batch_size'?");
    expect(problem('optimization { graph { level: 7 } }').message).to.contain(
      'level is 7; known: -1, 0, 1, 2',
    );
    expect(
      problem('parameters { key: "intra_op_thread_count" value { string_value: "two" } }').message,
    ).to.contain("'intra_op_thread_count' is 'two', not a number");
  });
});
