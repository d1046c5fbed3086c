/** Makes property tests deterministic: fast-check draws the same cases in every run. */
import fc from 'fast-check';

fc.configureGlobal({ seed: 1 });
