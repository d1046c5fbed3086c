// Prints the instruction set of the binary that ONNX_GROUPNORM_ADDON names if the binary computes a
// GroupNormalization right; else fails with the reason. install.mjs runs it in a process of its own, for a crash.
import { selfTestProvider } from '../dist/lib/cli/commands/doctor.js';
import { loadAddon } from '../dist/lib/runtime/native/addon.js';

const [problem] = await selfTestProvider('native');
if (problem) {
  console.error(problem.reason);
  process.exitCode = 1;
} else {
  console.log(loadAddon().addon.instructionSet());
}
