import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import type { LoadedModel } from '../../../lib/runtime/core/contract.js';
import { VerifiedModel, watch } from '../../../lib/runtime/ort-web/webgpu.js';
import { tensor } from '../../../lib/tensor.js';
import { rejection } from '../../support/temporary.js';

/** A model whose runs give a device `work` each, and what the device was given. */
function setUp(work: number, elements = 1) {
  const given: unknown[] = [];
  const device = {
    queue: { submit: (commands: Iterable<unknown>) => void given.push(commands) },
    features: new Set<string>(),
  };
  const y = tensor('float32', [elements], new Float32Array(elements));
  const model: LoadedModel = {
    inputs: [],
    outputs: [],
    run: () => {
      for (let i = 0; i < work; i++) device.queue.submit([i]);
      return Promise.resolve({ y });
    },
    dispose: () => Promise.resolve(),
  };
  return { device, given, model, y };
}

describe('a model on a GPU', () => {
  it('runs if the GPU was given work, which arrives there', async () => {
    const { device, given, model, y } = setUp(2);
    const verified = new VerifiedModel(model, watch(device));
    expect(await verified.run({}, {})).to.deep.equal({ y });
    expect(given).to.deep.equal([[0], [1]]);
  });

  it('is refused after its first run if the GPU was given none', async () => {
    const { device, model } = setUp(0);
    const error = await rejection(new VerifiedModel(model, watch(device)).run({}, {}));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
    expect((error as Error).message).to.include('placed no node of this model on the GPU');
  });

  it('has nothing to give the GPU where every output is empty', async () => {
    const { device, model, y } = setUp(0, 0);
    expect(await new VerifiedModel(model, watch(device)).run({}, {})).to.deep.equal({ y });
  });

  it('is not taken for one that runs there because of work that another gave it', async () => {
    const { device, model } = setUp(0);
    const work = watch(device);
    device.queue.submit([]);
    expect(watch(device)).to.equal(work);
    expect(work.submissions).to.equal(1);
    await rejection(new VerifiedModel(model, work).run({}, {}));
  });
});
