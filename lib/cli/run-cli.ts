/** The command line as a function: arguments in, exit code out. */
import { inspect } from 'node:util';
import { Command, CommanderError } from 'commander';
import { OnnxGroupNormError } from '../errors.js';
import { printableLines } from '../printable.js';
import { addBuild } from './commands/build.js';
import { addCompare } from './commands/compare.js';
import { addConvert } from './commands/convert.js';
import { addDoctor } from './commands/doctor.js';
import { addExportKServe } from './commands/export-kserve.js';
import { addExportTriton } from './commands/export-triton.js';
import { addInspect } from './commands/inspect.js';
import { addParity } from './commands/parity.js';
import { addRun } from './commands/run.js';
import { addServe } from './commands/serve.js';
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
    .showHelpAfterError("'onnx-groupnorm --help' lists the commands")
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
