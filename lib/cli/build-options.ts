/** The options of `build` that every network has. */
import { Option } from 'commander';
import { DEFAULT_OPSET, LOWERING_NAMES, MAX_OPSET, MIN_OPSET } from '../lowering/index.js';
import { FLOAT_DTYPES, type FloatDType, type Shape } from '../tensor.js';
import { parseInteger, parseShape } from './arguments.js';
import { RequiredOption } from './required-option.js';

export interface BuildOptions {
  readonly output: string;
  readonly weights?: string;
  readonly prefix?: string;
  readonly opset: number;
  readonly lowering?: string;
  readonly dtype: FloatDType;
  readonly keepIo?: boolean;
  readonly shape?: Shape;
  readonly seed: number;
  readonly externalData?: boolean;
}

/** A new list for each command: an option belongs to one. */
export const buildFlags = (): Option[] => [
  new RequiredOption('-o, --output <file>', 'the ONNX file to write'),
  new Option('--weights <file>', 'a state_dict, or a parity fixture, as .safetensors').conflicts('seed'),
  new Option(
    '--prefix <prefix>',
    'take only the keys of --weights under this prefix, such as backbone, and take it off them ' +
      '(module., model., _orig_mod. and state_dict. before every key are taken off by themselves)',
  ),
  new Option('--seed <n>', "seed of PyTorch's default initialisation, where no weights are given")
    .argParser(parseInteger)
    .default(0),
  new Option('--opset <n>', `opset of the model, ${MIN_OPSET} to ${MAX_OPSET}`)
    .argParser(parseInteger)
    .default(DEFAULT_OPSET),
  new Option(
    '--lowering <name>',
    `how GroupNormalization is written: ${LOWERING_NAMES.join(', ')} ` +
      '(default: op from opset 21 on, else reduce-mean)',
  ),
  new Option('--dtype <dtype>', 'dtype of input and weights').choices(FLOAT_DTYPES).default('float32'),
  new Option('--keep-io', 'keep inputs and outputs float32 and cast inside, whatever --dtype says'),
  new Option(
    '--shape <dims>',
    'shape of the input x: sizes, and names for those that are known only at run time, such as N,32,H,W ' +
      '(default: all but the channels are names)',
  ).argParser(parseShape),
  new Option('--external-data', 'write the weights to FILE.data beside the model (needed above 2 GiB)'),
];
