/** More cases than property.test.ts has. */
import { testLowerings } from './properties.js';

testLowerings({ cases: 120, batches: 40 });
