/** Published models as the operator and as reduce-mean. suite.test.ts has a choice of their other combinations. */
import { modelMatrix, testParity } from '../support/parity-matrix.js';

testParity(
  modelMatrix().filter(
    ({ lowering, opset, shapes, layout }) =>
      opset === 21 &&
      (lowering === 'op' || lowering === 'reduce-mean') &&
      shapes === 'named' &&
      layout === 'auto',
  ),
);
