/** The command line as a function: arguments in, exit code out. */
import { inspect } from 'node:util';
import { Command, CommanderError } from 'commander';
import { type AdvisedOption, OnnxGroupNormError } from '../errors.js';
import { printableLines } from '../printable.js';
import { addBuild } from './commands/build/build.js';
import { addCompare } from './commands/compare/compare.js';
import { addConvert } from './commands/convert/convert.js';
import { addDoctor } from './commands/doctor.js';
import { addExportKServe } from './commands/export/kserve.js';
import { addExportTriton } from './commands/export/triton.js';
import { addInspect } from './commands/inspect/inspect.js';
import { addParity } from './commands/parity/parity.js';
import { addRun } from './commands/run/run.js';
import { addServe } from './commands/serve/serve.js';
import {
  type Cli,
  colorsOf,
  EXIT,
  type ExitCode,
  type Io,
  packageInfo,
  print,
  UsageError,
} from './shared/terminal.js';

/**
 * Runs one command line. Never throws.
 * @param argv The arguments, without the names of the interpreter and the script.
 */
export async function runCli(argv: readonly string[], io: Io): Promise<ExitCode> {
  const cli: Cli = { io, exitCode: EXIT.ok };
  try {
    await createProgram(cli).parseAsync(argv, { from: 'user' });
    return cli.exitCode;
  } catch (error) {
    return reportError(error, io, argv.includes('--debug'));
  }
}

function createProgram(cli: Cli): Command {
  const { stdout, stderr } = cli.io;
  const program = new Command('onnx-groupnorm')
    .description(DESCRIPTION)
    .version(packageInfo().version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .option('--debug', 'print the stack trace of an error')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void stdout.write(printableLines(text)),
      writeErr: (text) => void stderr.write(printableLines(text)),
      getOutHelpWidth: () => stdout.columns || HELP_WIDTH,
      getErrHelpWidth: () => stderr.columns || HELP_WIDTH,
    })
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError("'npx onnx-groupnorm --help' lists the commands")
    .exitOverride();
  for (const add of [
    addBuild,
    addInspect,
    addCompare,
    addConvert,
    addRun,
    addServe,
    addParity,
    addExportTriton,
    addExportKServe,
    addDoctor,
  ])
    add(program, cli);
  return program;
}

/** Prints the message of an error, with the stack trace only for `--debug`, and returns the exit code. */
function reportError(error: unknown, { stderr }: Io, debug: boolean): ExitCode {
  // Commander has printed its own errors. It also throws after --help and --version, with exit code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const known = error instanceof OnnxGroupNormError || error instanceof UsageError;
  const message = error instanceof OnnxGroupNormError ? withFlag(error) : messageOf(error);
  print(stderr, `${colorsOf(stderr).red('error:')} ${known ? '' : 'unexpected: '}${message}`);
  if (debug) print(stderr, inspect(error));
  else if (!known) {
    print(stderr, 'This is a bug in onnx-groupnorm; run again with --debug and report the output.');
  }
  return known ? EXIT.usage : EXIT.failed;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The flags of the options that messages advise. */
const FLAGS: Readonly<Record<Exclude<AdvisedOption, `limits.${string}`>, string>> = {
  externalData: '--external-data',
  groupNorm: '--group-norm op',
  map: '--map NAME=VALUE',
  merge: '--merge',
  prefix: '--prefix PREFIX',
};

/** Returns the message of an error with the flag of the option that it advises. */
function withFlag({ message, option }: OnnxGroupNormError): string {
  if (option === undefined) return message;
  const [, limit] = option.split('limits.');
  const flag = limit ? `--limit ${limit}=NUMBER` : FLAGS[option as keyof typeof FLAGS];
  return `${message} (on the command line: ${flag})`;
}

/** Columns of the help where the output is not a terminal. */
const HELP_WIDTH = 100;

const DESCRIPTION =
  'Group Normalization in ONNX: builds, inspects and converts models, runs them with ONNX Runtime, and compares them with PyTorch.';

const EXAMPLES = `
Examples:
  $ npx onnx-groupnorm build group-norm --num-groups 8 --num-channels 32 -o gn.onnx
  $ npx onnx-groupnorm inspect gn.onnx
  $ npx onnx-groupnorm run gn.onnx --random --dim N=1,H=64,W=64
  $ npx onnx-groupnorm convert gn.onnx -o gn-portable.onnx
  $ npx onnx-groupnorm compare gn.onnx gn-portable.onnx --random --dim N=1,H=64,W=64
  $ npx onnx-groupnorm serve gn.onnx
  $ npx onnx-groupnorm doctor

'npx onnx-groupnorm COMMAND --help' explains a command.
Exit codes: 0 done; 1 a check failed; 2 bad usage or bad input.`;
