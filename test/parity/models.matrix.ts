/** All combinations of which suite.test.ts runs a choice, but for those that networks.matrix.ts has for every operator. */
import { modelMatrix, testParity } from '../support/parity-matrix.js';

testParity(modelMatrix().filter(({ shapes, layout }) => shapes === 'named' && layout === 'auto'));
