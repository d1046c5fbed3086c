import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { checkOutputs } from '../../../lib/runtime/core/tensors.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';

const INFOS = [{ name: 'y', dtype: 'float32', shape: ['N', 2] }] as const;
const vector = (count: number, buffer = new ArrayBuffer(4 * count)) =>
  tensor('float32', [count / 2, 2], new Float32Array(buffer, 0, count));

describe('runtime/core/tensors: checkOutputs', () => {
  it('checkOutputs accepts any size for a symbolic dimension, and no outputs', () => {
    checkOutputs(INFOS, { y: vector(6) }, { x: vector(6) });
    checkOutputs(INFOS, {}, { x: vector(6) });
  });

  const buffer = new ArrayBuffer(24);
  const resizable = new (ArrayBuffer as unknown as new (size: number, options: object) => ArrayBuffer)(24, {
    maxByteLength: 24,
  });
  const wrong: Record<string, [Record<string, TensorData>, string]> = {
    'another name': [{ z: vector(6) }, "'z' is not an output of the model"],
    'another dtype': [{ y: tensor('float64', [3, 2], new Float64Array(6)) }, 'is float64 [3, 2]'],
    'another rank': [{ y: tensor('float32', [6], new Float32Array(6)) }, 'is float32 [N, 2]'],
    'another size': [{ y: tensor('float32', [2, 3], new Float32Array(6)) }, 'is float32 [N, 2]'],
    'data that its dims contradict': [{ y: { ...vector(6), dims: [9, 2] } }, 'holds 18 elements'],
    'no tensor': [{ y: null as unknown as TensorData }, 'null is not a tensor'],
    'a resizable buffer': [{ y: vector(6, resizable) }, "output 'y' has a resizable buffer"],
    'the memory of an input': [{ y: vector(6, buffer) }, "shares its memory with 'x' of the same run"],
  };
  for (const [what, [outputs, message]] of Object.entries(wrong)) {
    it(`checkOutputs refuses ${what}`, () => {
      expect(() => checkOutputs(INFOS, outputs, { x: vector(4, buffer) }))
        .to.throw(SessionError, message)
        .with.property('code', 'OUTPUT_INVALID');
    });
  }
});
