/** All combinations of which suite.test.ts runs a pairwise choice. */
import { groupNormMatrix, testParity } from '../support/parity-matrix.js';

testParity(groupNormMatrix());
