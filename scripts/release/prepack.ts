/** Run before the package is packed: fails unless it has a binary of the present sources for every platform. */
import { readFileSync } from 'node:fs';
import { readBinary } from './binary.js';
import { faultsOf } from './gate.js';
import { staleness } from './manifest.js';
import { binaryOf, nameOf, TARGETS } from './targets.js';

const faults = TARGETS.flatMap((target) => {
  const stale = staleness(target);
  const found = stale === undefined ? faultsOf(readBinary(readFileSync(binaryOf(target))), target) : [stale];
  return found.map((fault) => `  ${nameOf(target)}: ${fault}`);
});

if (process.env['ONNX_GROUPNORM_PREBUILT'] === 'skip') {
  console.error('prepack: ONNX_GROUPNORM_PREBUILT=skip: the prebuilt binaries are not checked');
} else if (faults.length > 0) {
  const remedy =
    "'npm run build:prebuilt' builds the binaries; ONNX_GROUPNORM_PREBUILT=skip packs without this check";
  console.error(`prepack: the package needs these prebuilt binaries:\n${faults.join('\n')}\n${remedy}`);
  process.exitCode = 1;
}
