import { readFileSync } from 'node:fs';
import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import onnxMatchers from '../../lib/chai.js';
import { OptionError, WeightsError } from '../../lib/errors.js';
import { filledTensor } from '../../lib/half.js';
import type { TensorData } from '../../lib/tensor.js';
import { batchNormToGroupNormStateDict } from '../../lib/weights/batch-norm.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { caught } from '../support/temporary.js';

use(onnxMatchers);

/** The state_dict of a network in PyTorch: two convolutions and four BatchNorms, one of them without weights. */
const STATE_DICT = new Map(
  [
    ...decodeSafetensors(
      readFileSync(new URL('../samples/batch-norm/images-dynamo.safetensors', import.meta.url)),
    ).tensors,
  ].flatMap(([key, value]) => (key.startsWith('state_dict.') ? [[key.slice(11), value]] : [])),
);

describe('batchNormToGroupNormStateDict', () => {
  it('batchNormToGroupNormStateDict returns the keys of the network after the recipe, and their new values', () => {
    const { tensors, norms, removed } = batchNormToGroupNormStateDict(STATE_DICT, { numGroups: 8 });
    const affine = ['stem.1', 'bn', 'shared'];
    expect([...tensors.keys()]).to.have.members([
      ...['stem.0.weight', 'conv.weight', 'conv.bias'],
      ...affine.flatMap((module) => [`${module}.weight`, `${module}.bias`]),
    ]);
    expect([...tensors.keys()]).to.deep.equal([...STATE_DICT.keys()].filter((key) => tensors.has(key)));
    expect(norms).to.have.deep.members([
      { module: 'stem.1', channels: 16, numGroups: 8 },
      ...['bn', 'shared', 'plain'].map((module) => ({ module, channels: 12, numGroups: 4 })),
    ]);
    expect(removed).to.have.lengthOf(12).and.include('plain.num_batches_tracked');
    for (const module of affine) {
      const { dims } = STATE_DICT.get(`${module}.weight`)!;
      expect(tensors.get(`${module}.weight`)).to.matchTensor(filledTensor('float32', dims, 1));
      expect(tensors.get(`${module}.bias`)).to.matchTensor(filledTensor('float32', dims, 0));
    }
    expect(tensors.get('conv.weight')).to.equal(STATE_DICT.get('conv.weight'));
  });

  it('batchNormToGroupNormStateDict keeps weights and biases with keepAffine, and its argument as it was', () => {
    const before = [...STATE_DICT.keys()];
    const { tensors } = batchNormToGroupNormStateDict(STATE_DICT, { keepAffine: true });
    expect(tensors.get('bn.weight')).to.equal(STATE_DICT.get('bn.weight'));
    expect([...STATE_DICT.keys()]).to.deep.equal(before);
  });

  it('batchNormToGroupNormStateDict takes a state_dict that is of one BatchNorm alone', () => {
    const own = ['weight', 'bias', 'running_mean', 'running_var'].map(
      (key) => [key, filledTensor('float16', [64], 2)] as const,
    );
    const { tensors, norms } = batchNormToGroupNormStateDict(new Map(own));
    expect(norms).to.deep.equal([{ module: '', channels: 64, numGroups: 32 }]);
    expect([...tensors]).to.have.lengthOf(2);
    expect(tensors.get('weight')).to.matchTensor(filledTensor('float16', [64], 1));
  });

  it('batchNormToGroupNormStateDict refuses a state_dict without BatchNorm, and tensors that do not fit together', () => {
    const refused = (entries: readonly (readonly [string, TensorData])[]) => {
      const error = caught(() => batchNormToGroupNormStateDict(new Map(entries)));
      expect(error).to.be.instanceOf(WeightsError).with.property('code', 'STATE_DICT_MISMATCH');
      return (error as Error).message;
    };
    const [four, five, none] = [4, 5, 0].map((size) => filledTensor('float32', [size], 1)) as [TensorData, TensorData, TensorData]; // prettier-ignore
    expect(refused([['bn.weight', four]])).to.include('has no BatchNorm');
    expect(refused([['bn.running_mean', four]])).to.include('has no BatchNorm');
    expect(refused([['bn.running_mean', four], ['bn.running_var', five]])).to.include("'bn.running_var' has shape [5]"); // prettier-ignore
    expect(refused([['bn.running_mean', none], ['bn.running_var', none]])).to.include("'bn.running_mean' has shape [0]"); // prettier-ignore
    const scalar = filledTensor('float32', [], 1);
    expect(refused([['a.running_mean', scalar], ['a.running_var', scalar]])).to.include('has shape []'); // prettier-ignore
    expect(caught(() => batchNormToGroupNormStateDict({} as ReadonlyMap<string, TensorData>))).to.be.instanceOf(WeightsError); // prettier-ignore
    for (const options of [{ numGroups: 0 }, { numGroups: 2.5 }, { groups: 3 } as object])
      expect(caught(() => batchNormToGroupNormStateDict(STATE_DICT, options))).to.be.instanceOf(OptionError);
  });
});
