/** `--group-norm`, which `run` and `parity` share. */
import { Option } from 'commander';
import {
  getSessionLowering,
  MAX_OPSET,
  SESSION_LOWERING_NAMES,
  type SessionLoweringName,
} from '../lowering/index.js';

/** Whatever the opset of the model: a lowering that it does not have is refused when the model is loaded. */
export const groupNormOption = (): Option =>
  new Option(
    '--group-norm <name>',
    `how GroupNormalization nodes run: ${SESSION_LOWERING_NAMES.join(', ')} (default: the native kernel where it is there, ` +
      "else a rewrite that is right for any mean; op is ONNX Runtime's own, which is not; contrib-group-norm is for cuda)",
  ).argParser((name: string): SessionLoweringName => getSessionLowering(name, MAX_OPSET).name);
