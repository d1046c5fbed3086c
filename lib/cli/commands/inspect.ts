/** `inspect`: says what is in an ONNX model, and how its normalizations run. */
import type { Command } from 'commander';
import { writeFileAtomic } from '../../files/atomic.js';
import { inspectModel } from '../../insight/node.js';
import type { ModelInspection, ModelSummary, Normalization } from '../../insight/types.js';
import type { Limits } from '../../limits.js';
import { printable, printableJson } from '../../printable.js';
import { formatBytes, listNames, plural } from '../../quantities.js';
import type { TensorInfo } from '../../runtime/core/contract.js';
import { formatShape } from '../../tensor.js';
import { limitOption, pointToHelp } from '../shared/options.js';
import { refuseOverwritingInputs, requireWritableOutputs } from '../shared/output-files.js';
import { withProgress } from '../shared/progress.js';
import { type Column, fitTable } from '../shared/table.js';
import { type Cli, type Io, print, widthOf } from '../shared/terminal.js';

interface InspectCommandOptions {
  readonly json?: string;
  readonly limit?: Partial<Limits>;
}

export function addInspect(program: Command, cli: Cli): void {
  const command = program
    .command('inspect')
    .summary('say what is in an ONNX file, and how its normalizations run')
    .description(DESCRIPTION)
    .usage('MODEL [options]')
    .argument('<model>', 'ONNX file to read')
    .option('--json <file>', 'write everything as JSON; - writes it to stdout, and the table to stderr')
    .addOption(limitOption())
    .addHelpText('after', EXAMPLES)
    .action((model: string, options: InspectCommandOptions) => inspect(model, options, cli.io));
  pointToHelp(command);
}

async function inspect(path: string, { json, limit }: InspectCommandOptions, io: Io): Promise<void> {
  const file = json === '-' ? undefined : json;
  await refuseOverwritingInputs([['--json', file]], [['the model', path]]);
  await requireWritableOutputs([['--json', file]]);
  const inspection = await withProgress(io.stderr, (progress) => {
    progress.step(`loading ${path}`);
    return inspectModel(path, { limits: limit });
  });
  const text = `${printableJson(inspection)}\n`;
  if (json === '-') io.stdout.write(text);
  else if (json !== undefined) await writeFileAtomic(json, text);
  const human = json === '-' ? io.stderr : io.stdout;
  print(human, ...describeInspection(path, inspection, widthOf(human)));
}

/**
 * Returns an inspection as lines for people.
 * @param width Characters of a line of the table. Default: no limit.
 */
export function describeInspection(
  path: string,
  { model, normalizations }: ModelInspection,
  width?: number,
): string[] {
  return [
    ...describeModel(path, model).map(printable),
    '',
    ...(normalizations.length === 0
      ? ['No normalizations']
      : [plural(normalizations.length, 'normalization'), fitTable(columnsOf(normalizations), width)]),
    ...describeWarnings(normalizations),
  ];
}

function describeModel(path: string, model: ModelSummary): string[] {
  const { producerName, producerVersion, irVersion, opsets, inputs, outputs, operators } = model;
  const { parameters, bytes, externalData, functions, controlFlow } = model;
  const producer = [producerName || 'an unnamed program', producerVersion].filter(Boolean).join(' ');
  const sets = Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`);
  const nodes = Object.values(operators).reduce((sum, count) => sum + count, 0);
  return [
    `${path}: written by ${producer}, IR version ${irVersion}, opsets ${listNames(sets)}`,
    `Inputs:     ${listNames(inputs.map(describeTensor)) || 'none'}`,
    `Outputs:    ${listNames(outputs.map(describeTensor)) || 'none'}`,
    `Nodes:      ${nodes}${nodes > 0 ? `: ${describeCounts(operators)}` : ''}`,
    `Parameters: ${parameters.toLocaleString('en')} in ${formatBytes(bytes)}`,
    ...externalData.map(
      ({ location, bytes: size, problem }) =>
        `Weights in: '${location}' (${formatBytes(size)})${problem === undefined ? ', there' : `, ${problem}`}`,
    ),
    ...(functions.length > 0 ? [`Functions:  ${listNames(functions)}`] : []),
    ...(Object.keys(controlFlow).length > 0 ? [`With bodies: ${describeCounts(controlFlow)}`] : []),
  ];
}

const describeTensor = ({ name, dtype, shape }: TensorInfo): string =>
  `${name} ${dtype ?? 'of an unknown dtype'}${shape ? ` ${formatShape(shape)}` : ''}`;

const describeCounts = (counts: Readonly<Record<string, number>>): string =>
  listNames(Object.entries(counts).map(([name, count]) => `${count} ${name}`));

/** Columns that a narrow terminal leaves out have a number; the lowest goes first. */
function columnsOf(rows: readonly Normalization[]): Column[] {
  const cells = (text: (row: Normalization) => string | number | undefined) =>
    rows.map((row) => String(text(row) ?? '?'));
  const isInside = rows.some(({ where }) => where !== 'graph');
  return [
    { head: 'name', cells: cells(({ module, name }) => module ?? name), cut: true },
    { head: 'operator', cells: cells(({ operator }) => operator) },
    { head: 'form', cells: cells(({ form }) => form), drop: 5 },
    { head: 'shape', cells: cells(({ shape }) => shape && formatShape(shape)), drop: 3 },
    { head: 'groups', cells: cells(({ groups }) => groups ?? '–'), align: 'right', drop: 8 },
    { head: 'channels', cells: cells(({ channels }) => channels ?? '–'), align: 'right', drop: 7 },
    { head: 'epsilon', cells: cells(({ epsilon }) => epsilon?.toExponential()), align: 'right', drop: 4 },
    {
      head: 'affine',
      cells: cells(({ affine }) => (affine === undefined ? undefined : affine ? 'yes' : 'no')),
      drop: 1,
    },
    { head: 'then', cells: cells(describeNext), drop: 6 },
    { head: 'dtype', cells: cells(({ dtype }) => dtype), drop: 2 },
    ...(isInside ? [{ head: 'where', cells: cells(({ where }) => where), cut: true }] : []),
    { head: 'runs as', cells: cells(describeProviders), drop: 9 },
  ];
}

function describeNext({ activation, residual }: Normalization): string | undefined {
  if (activation === 'none') return '–';
  const own = activation === 'silu' ? 'SiLU' : activation && 'Relu';
  return residual === undefined ? own : `Add, ${own}`;
}

/** Names the providers of each execution, and those of the most common one as the others. */
function describeProviders({ providers }: Normalization): string {
  const groups = new Map<string, string[]>();
  for (const [provider, execution] of Object.entries(providers))
    groups.set(execution, [...(groups.get(execution) ?? []), provider]);
  const [[most], ...others] = [...groups].sort(([, a], [, b]) => b.length - a.length) as [
    [string, string[]],
    ...[string, string[]][],
  ];
  const named = others.map(([execution, names]) => `${names.join(', ')}: ${execution}; `).join('');
  return named ? `${named}others: ${most}` : most;
}

/** Returns each warning once, with the rows that it is about. */
function describeWarnings(rows: readonly Normalization[]): string[] {
  const subjects = new Map<string, string[]>();
  for (const { name, module, warnings } of rows)
    for (const warning of warnings) subjects.set(warning, [...(subjects.get(warning) ?? []), module ?? name]);
  const lines = [...subjects].map(([warning, names]) => `${listNames(names, 3)}: ${warning}.`);
  return lines.length > 0 ? ['', ...lines.map(printable)] : [];
}

const DESCRIPTION =
  'Says what is in an ONNX model: who wrote it, inputs and outputs, operators, weights and the files that hold them. ' +
  'Then it lists every normalization, however the model has it: GroupNormalization; the InstanceNormalization between ' +
  "two Reshapes that PyTorch exports below opset 21; arithmetic; com.microsoft's operators; InstanceNormalization, " +
  'LayerNormalization, RMSNormalization and BatchNormalization. A row has the PyTorch module where the exporter left ' +
  'it, and how a session runs the normalization on each provider: by the native kernel, rewritten as a lowering such as ' +
  "reduce-mean, or by ONNX Runtime's own operator (onnxruntime).\n\n" +
  'inspect runs nothing: it needs neither a provider nor the files of the weights. Of a normalization in a local ' +
  'function or in the body of an If, Loop or Scan it tells what the node itself says. A narrow terminal leaves columns ' +
  'out; --json has all of them.';

const EXAMPLES = `
Examples:
  $ onnx-groupnorm inspect model.onnx
  $ onnx-groupnorm inspect model.onnx --json report.json
  $ onnx-groupnorm inspect model.onnx --json - > report.json

'form' says how the model has GroupNorm: as an operator, exported (Reshape, InstanceNormalization,
Reshape), written (in arithmetic), inlined (in arithmetic, with the variance as E[x²] − E[x]²) or
lowered (as build and convert of this package write it).
'then' is the activation behind it, and Add the residual in between.

Exit codes: 0 done, with warnings or without; 2 bad usage or bad input.`;
