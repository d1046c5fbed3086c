import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as common from 'onnxruntime-common';
import * as ort from 'onnxruntime-node';
import { SessionError, type SessionErrorCode } from '../../../lib/errors.js';
import type { TensorInfo } from '../../../lib/runtime/core/contract.js';
import { checkFeeds, describeInput, unknownInputs } from '../../../lib/runtime/core/tensors.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';

const X: TensorInfo = { name: 'x', dtype: 'float32', shape: ['N', 2, ''] };
const MASK: TensorInfo = { name: 'mask', dtype: 'bool', shape: [1] };
const x = (...dims: number[]): TensorData =>
  tensor('float32', dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)));
const mask = tensor('bool', [1], Uint8Array.of(1));

const refuses = (feeds: unknown, code: SessionErrorCode, message: RegExp) => {
  let thrown: unknown;
  try {
    checkFeeds([X, MASK], feeds as Record<string, TensorData>);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).to.be.instanceOf(SessionError).with.property('code', code);
  expect((thrown as Error).message).to.match(message);
};

describe('runtime/core/tensors: checkFeeds', () => {
  it('checkFeeds accepts any size for a dimension without a fixed size', () => {
    for (const dims of [
      [1, 2, 3],
      [0, 2, 1],
      [7, 2, 0],
    ]) {
      checkFeeds([X, MASK], { x: x(...dims), mask });
    }
    checkFeeds([], {});
  });

  it('checkFeeds reports every problem at once, and lists the inputs of the model', () =>
    refuses(
      { y: mask, mask: x(1) },
      'INPUT_MISSING',
      /^input 'x' is missing; input 'mask' is float32 but must be bool; 'y' is not an input of the model\. The model's inputs: 'x' float32 \[N, 2, \?\]; 'mask' bool \[1\]$/,
    ));

  it('checkFeeds refuses a wrong rank, and a wrong size of a fixed dimension', () => {
    refuses(
      { x: x(1, 2), mask },
      'INPUT_SHAPE',
      /'x' has shape \[1, 2\] of rank 2 but must be of rank 3: \[N, 2, \?\]/,
    );
    refuses({ x: x(1, 3, 1), mask }, 'INPUT_SHAPE', /\[1, 3, 1\] but must be \[N, 2, \?\]: dimension 1 is 3/);
  });

  it('checkFeeds refuses what is not a tensor', () => {
    for (const strange of [3, 'abc', true, [1], {}, { dtype: 'float32', dims: 'abc' }, { dims: [1, 2, 3] }]) {
      refuses(
        { x: strange, mask },
        'INPUT_DTYPE',
        /input 'x' is not a tensor: make one with tensor\('float32', dims, data\)/,
      );
    }
    for (const none of [null, undefined, 0]) refuses({ x: none, mask }, 'INPUT_MISSING', /'x' is missing/);
    for (const none of [null, undefined])
      refuses(none, 'INPUT_MISSING', /'x' is missing; input 'mask' is missing/);
  });

  it('checkFeeds refuses a tensor with fewer elements than its dims say', () => {
    const short = { dtype: 'float32', dims: [1, 2, 3], data: new Float32Array(5) };
    refuses({ x: short, mask }, 'INPUT_SHAPE', /shape \[1, 2, 3\] holds 6 elements, but the data has 5/);
    const negative = { dtype: 'float32', dims: [-1, 2, -3], data: new Float32Array(6) };
    refuses({ x: negative, mask }, 'INPUT_SHAPE', /integers of at least 0/);
  });

  it('checkFeeds does not take the properties of Object.prototype for inputs', () => {
    const toString: TensorInfo = { name: 'toString', dtype: 'bool', shape: [1] };
    expect(() => checkFeeds([toString], {})).to.throw(SessionError, "input 'toString' is missing");
  });

  it('checkFeeds takes a tensor of onnxruntime, whose dtype is its type', () => {
    const [first, second] = [ort.Tensor, common.Tensor].map(
      (Tensor) => checkFeeds([X, MASK], { x: new Tensor('float32', x(1, 2, 3).data, [1, 2, 3]), mask })['x'],
    );
    for (const found of [first, second]) expect(found).to.deep.equal(x(1, 2, 3));
    refuses(
      { x: new ort.Tensor('int32', [1], [1]), mask },
      'INPUT_DTYPE',
      /'x' is int32 but must be float32/,
    );
    const onGpu = { type: 'float32', dims: [1, 2, 3], location: 'gpu-buffer' };
    Object.defineProperty(onGpu, 'data', {
      get() {
        throw new Error('the data is not on CPU');
      },
    });
    refuses({ x: onGpu, mask }, 'INPUT_DTYPE', /of 'x' are not on the CPU but 'gpu-buffer': .*getData\(\)/);
  });

  it('unknownInputs suggests the nearest name for an unknown name', () => {
    expect(unknownInputs([X, MASK], ['x', 'mas', 'other'])).to.deep.equal([
      "'mas' is not an input of the model: did you mean 'mask'?",
      "'other' is not an input of the model",
    ]);
    expect(describeInput(MASK)).to.equal("'mask' bool [1]");
  });
});
