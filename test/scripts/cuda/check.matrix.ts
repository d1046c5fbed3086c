import { testReport } from '../../support/cuda-report.js';

testReport('wasm');
