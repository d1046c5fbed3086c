/** Uses the matchers in chai 5 and 6. packed-package.ts copies this file into a project that has installed the package. */
import * as chai6 from 'chai';
// @ts-expect-error chai's types are those of the package 'chai'.
import * as untyped from 'chai-5';
import { type TensorData, tensor } from 'onnx-groupnorm';
import onnxMatchers from 'onnx-groupnorm/chai';

const one: TensorData = tensor('float32', [1], Float32Array.of(1));
const messages = [chai6, untyped as typeof chai6].map((chai) => {
  const { expect } = chai.use(onnxMatchers);
  expect(one).to.matchTensor(Float32Array.of(1), { rtol: 0 }).and.not.matchTensor(Float32Array.of(2));
  // @ts-expect-error There is no such option.
  const unknown = (): unknown => expect(one).to.matchTensor(one, { tolerance: 1 });
  expect(unknown).to.throw("matchTensor has no option 'tolerance'");
  const later: [() => Promise<void>, () => Promise<void>] = [
    () => expect('model.onnx').to.passParity({ provider: 'cpu' }),
    () => expect(one).not.to.matchFixture('case.safetensors', { atol: 1 }),
  ];
  expect(later).to.have.length(2);
  try {
    expect(one).to.matchTensor(Float32Array.of(2));
  } catch (error) {
    return (error as Error).message.split(':')[0];
  }
  return undefined;
});
console.log(JSON.stringify(messages));
