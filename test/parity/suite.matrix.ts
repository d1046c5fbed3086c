/** All combinations that suite.test.ts chooses from: `npm run test:matrix`. */
import { groupNormMatrix, networkMatrix, testParity } from '../support/parity-matrix.js';

testParity([...groupNormMatrix(), ...networkMatrix()]);
