/** What is in a model as words: who wrote it, its head as pairs, its normalizations as columns, and their warnings. */
import { formatBytes, formatDifference, formatDigits, listNames } from '../../quantities.js';
import type { Provider, TensorInfo } from '../../runtime/core/contract.js';
import { formatShape } from '../../tensor.js';
import type { ModelSummary, Normalization } from './types.js';
import { FOR_THIS_INPUT } from './warnings.js';

/** A column of the table of normalizations. */
export interface InspectColumn {
  readonly head: string;
  readonly align?: 'right';
  readonly cells: readonly string[];
  /** Order in which narrow terminals leave columns out: the lowest number goes first. Default: the column always stays. */
  readonly drop?: number;
  /** Whether the beginning of a cell may be cut off. */
  readonly cut?: boolean;
}

/** Returns who wrote a model, and in which versions. */
export function writtenBy({ producerName, producerVersion, irVersion, opsets }: ModelSummary): string {
  const producer = [producerName || 'an unnamed program', producerVersion].filter(Boolean).join(' ');
  const sets = Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`);
  return `written by ${producer}, IR version ${irVersion}, opsets ${listNames(sets)}`;
}

/** Returns what is in a model, as pairs of a term and a text. */
export function headOf(model: ModelSummary, provider: Provider | undefined): [term: string, text: string][] {
  const { inputs, outputs, operators, parameters, bytes, externalData, functions, controlFlow } = model;
  const nodes = Object.values(operators).reduce((sum, count) => sum + count, 0);
  const head: [string, string][] = [
    ['Inputs', listNames(inputs.map(describeTensor)) || 'none'],
    ['Outputs', listNames(outputs.map(describeTensor)) || 'none'],
    ['Nodes', `${nodes}${nodes > 0 ? `: ${describeCounts(operators)}` : ''}`],
    ['Parameters', `${parameters.toLocaleString('en')} in ${formatBytes(bytes)}`],
  ];
  for (const { location, bytes: size, problem } of externalData)
    head.push(['Weights in', `'${location}' (${formatBytes(size)}), ${problem ?? 'there'}`]);
  if (functions.length > 0) head.push(['Functions', listNames(functions)]);
  if (Object.keys(controlFlow).length > 0) head.push(['With bodies', describeCounts(controlFlow)]);
  if (provider !== undefined) head.push(['Run on', provider]);
  return head;
}

const describeTensor = ({ name, dtype, shape }: TensorInfo): string =>
  `${name} ${dtype ?? 'of an unknown dtype'}${shape ? ` ${formatShape(shape)}` : ''}`;

const describeCounts = (counts: Readonly<Record<string, number>>): string =>
  listNames(Object.entries(counts).map(([name, count]) => `${count} ${name}`));

/** Columns that a narrow terminal leaves out have a number; the lowest goes first. */
export function columnsOf(rows: readonly Normalization[]): InspectColumn[] {
  const cells = (text: (row: Normalization) => string | number | undefined) =>
    rows.map((row) => String(text(row) ?? '?'));
  const isInside = rows.some(({ where }) => where !== 'graph');
  const isMeasured = rows.some(({ statistics }) => statistics);
  return [
    { head: 'name', cells: rows.map(labelOf), cut: true },
    ...(isMeasured ? measuredColumns(rows) : []),
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

const measuredColumns = (rows: readonly Normalization[]): InspectColumn[] => [
  {
    head: 'mean ÷ dev',
    cells: rows.map(({ statistics }) => (statistics ? formatDigits(statistics.meanToDeviation, 3) : '–')),
    align: 'right',
    drop: 11,
  },
  {
    head: 'inlined error',
    cells: rows.map(({ statistics }) => formatDifference(statistics?.inlinedError)),
    align: 'right',
    drop: 10,
  },
];

/** Returns each warning once, with the rows that it is about, and with the figures of the row with the largest error. */
export function warningsIn(
  rows: readonly Normalization[],
): { readonly subjects: string[]; readonly text: string }[] {
  const worstFirst = [...rows].sort((a, b) => errorOf(b) - errorOf(a) || ratioOf(b) - ratioOf(a));
  const found = new Map<string, { readonly subjects: string[]; readonly text: string }>();
  for (const row of worstFirst)
    for (const text of row.warnings) {
      const [key] = text.split(FOR_THIS_INPUT) as [string];
      const known = found.get(key) ?? { subjects: [], text };
      known.subjects.push(labelOf(row));
      found.set(key, known);
    }
  return [...found.values()];
}

const ratioOf = ({ statistics }: Normalization): number => statistics?.meanToDeviation ?? 0;

/** NaN is the worst. */
const errorOf = ({ statistics }: Normalization): number =>
  statistics && Number.isNaN(statistics.inlinedError) ? Number.MAX_VALUE : (statistics?.inlinedError ?? 0);

/** Returns the module of a normalization, or else the name of its node. */
export const labelOf = ({ module, name }: Normalization): string => module ?? name;
