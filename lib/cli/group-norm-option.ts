/** `--group-norm`, which `run` and `parity` share. */
import { Option } from 'commander';
import { getLowering, LOWERING_NAMES, MAX_OPSET, type LoweringName } from '../lowering/index.js';

/** Whatever the opset of the model: a lowering that it does not have is refused when the model is loaded. */
export const groupNormOption = (): Option =>
  new Option(
    '--group-norm <name>',
    `how GroupNormalization nodes run: ${LOWERING_NAMES.join(', ')} (default: the native kernel where it is there, ` +
      "else a rewrite that is right for any mean; op is ONNX Runtime's own, which is not)",
  ).argParser((name: string): LoweringName => getLowering(name, MAX_OPSET).name);
