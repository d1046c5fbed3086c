import { expect } from 'chai';
import { describe, it } from 'mocha';
import { modelConfig } from '../../../lib/server/http/describe.js';
import type { ServedModel, ServingOptions } from '../../../lib/server/index.js';

/** The part `dynamic_batching` of the configuration of a model that is served so. */
function dynamicBatching(options: ServingOptions, notJoined?: string): unknown {
  const model = { name: 'm', version: '1', inputs: [], outputs: [], notJoined, options };
  const config = modelConfig({ ...model, maxBatchSize: options.maxBatchSize } as unknown as ServedModel);
  return (config as { dynamic_batching?: unknown }).dynamic_batching;
}

describe("a model's configuration", () => {
  it('the configuration has dynamic_batching where requests are joined, with the limits that hold', () => {
    const policy = {
      timeout_action: 'REJECT',
      default_timeout_microseconds: 0,
      allow_timeout_override: true,
    };
    expect(dynamicBatching({ maxBatchSize: 8 })).to.deep.equal({
      preferred_batch_size: [],
      max_queue_delay_microseconds: 0,
      preserve_ordering: false,
      default_queue_policy: { ...policy, max_queue_size: 1024 },
    });
    const given = { maxQueueSize: 3, queueTimeout: 1.5, allowRequestTimeout: false };
    expect(dynamicBatching({ maxBatchSize: 8, preferredBatchSizes: [4], ...given })).to.deep.include({
      preferred_batch_size: [4],
      default_queue_policy: {
        timeout_action: 'REJECT',
        default_timeout_microseconds: 1500,
        allow_timeout_override: false,
        max_queue_size: 3,
      },
    });
  });

  it('the configuration has no dynamic_batching where requests run one by one', () => {
    expect(dynamicBatching({})).to.equal(undefined);
    expect(dynamicBatching({ maxBatchSize: 8, preferredBatchSizes: [1] })).to.equal(undefined);
    expect(dynamicBatching({ maxBatchSize: 8 }, 'the samples influence each other')).to.equal(undefined);
  });
});
