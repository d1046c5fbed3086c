/** All combinations of which suite.test.ts runs a pairwise choice. */
import { modelMatrix, networkMatrix, testParity } from '../support/parity-matrix.js';

testParity([...networkMatrix(), ...modelMatrix()]);
