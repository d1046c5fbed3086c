/** All combinations of which suite.test.ts runs a pairwise choice. */
import { networkMatrix, testParity } from '../support/parity-matrix.js';

testParity(networkMatrix());
