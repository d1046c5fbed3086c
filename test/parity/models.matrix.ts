/** Published models with each lowering on each provider. suite.test.ts has a choice of their other combinations. */
import { modelMatrix, testParity } from '../support/parity-matrix.js';

testParity(
  modelMatrix().filter(
    ({ opset, shapes, layout }) => opset === 21 && shapes === 'named' && layout === 'auto',
  ),
);
