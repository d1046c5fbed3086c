/**
 * The figures of README and docs. They come from the reports of benchmarks in docs/plots, and stand between two comments:
 *
 *     <!-- figures: price.table --> a table <!-- end -->
 *     It is <!-- figures: group-norm.faster 1x320x64x64 "native, using" -->13.2 ×<!-- end --> as fast.
 *
 * `npm run docs:figures` writes the text in between; a test fails if a page has other figures.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AccuracyRow } from '../../bench/accuracy.js';
import type { BatchingRow } from '../../bench/batching.js';
import type { EnduranceRow } from '../../bench/endurance.js';
import type { EventLoopRow } from '../../bench/event-loop.js';
import type { ExportRow } from '../../bench/exports.js';
import type { GroupNormRow } from '../../bench/group-norm.js';
import type { OverheadRow } from '../../bench/overhead.js';
import { fastestForms, inOrder, NETWORK_NAMES } from '../../bench/plots/plots.js';
import type { PriceRow } from '../../bench/price.js';
import { readReport, type Report } from '../../bench/report.js';
import type { ServeRow } from '../../bench/serve.js';
import type { UNetPeerRow } from '../../bench/unet-peers.js';
import { megabytes } from '../../bench/runners.js';
import { quantile, table, type Quartiles } from '../../bench/statistics.js';
import type { VaeRow } from '../../bench/vae.js';
import type { PageFilesRow, PageMemoryRow } from './page-report.js';

const FOLDER = fileURLToPath(new URL('../../docs/plots/', import.meta.url));
const read = <Row>(name: string): Report<Row> => readReport<Row>(`${FOLDER}${name}.json`);

/** The figures by name. Each function takes the words behind the name. */
const FIGURES: Readonly<Record<string, (...words: string[]) => string>> = {
  source: (name) => sourceOf(read(name)),
  'group-norm.table': groupNormTable,
  'group-norm.ms': (shape, runner) => milliseconds(groupNormRow(shape, runner).ms.median),
  'group-norm.faster': (shape, runner) => ratio(groupNormRow(shape, runner).faster.median),
  'accuracy.table': accuracyTable,
  'accuracy.error': (shape, mean, runner) => formatError(accuracyRow(shape, Number(mean), runner).error),
  'networks.table': networksTable,
  'price.table': priceTable,
  'overhead.table': overheadTable,
  'serve.table': serveTable,
  'exports.table': (ours) => exportsTable(ours as Ours),
  'exports.count': () => String(read<ExportRow>('exports').rows.length),
  'exports.median': (ours) => speed(quantile(exportSpeeds(ours as Ours), 0.5)),
  'exports.smallest': (ours) => speed(Math.min(...exportSpeeds(ours as Ours))),
  'exports.below': (ours, bound) =>
    String(exportSpeeds(ours as Ours).filter((faster) => faster < Number(bound)).length),
  'exports.distance': (ours) =>
    Math.max(...read<ExportRow>('exports').rows.map(({ errors }) => errors[ours as Ours] ?? 0)).toFixed(1),
  'batching.table': batchingTable,
  'exporters.table': exportersTable,
  'exporters.nodes': (network, form) =>
    String(
      read<ExporterRow>('exporters').rows.find((row) => row.network === network && row.form === form)!.nodes,
    ),
  'fuzz.files': () =>
    read<FuzzRow>('fuzz')
      .rows.reduce((sum, row) => sum + row.files, 0)
      .toLocaleString('en-US'),
  'fuzz.calls': () =>
    read<FuzzRow>('fuzz')
      .rows.reduce((sum, { returned, refused }) => sum + returned + refused, 0)
      .toLocaleString('en-US'),
  'fuzz.table': fuzzTable,
  'page.size': (part) => {
    const { bytes } = read<PageFilesRow>('page-files').rows.find((row) => row.part === part)!;
    return `${(bytes / 1e6).toFixed(0)} MB`;
  },
  'page.table': pageTable,
  'unet-peers.table': unetPeersTable,
  'unet-peers.pytorch': () => formatError(read<UNetPeerRow>('unet-peers').rows[0]!.pytorchError),
  'endurance.table': enduranceTable,
  'vae.table': vaeTable,
  'event-loop.table': eventLoopTable,
  'event-loop.p99': (runner) =>
    milliseconds(read<EventLoopRow>('event-loop').rows.find((row) => row.runner === runner)!.p99),
};

/**
 * Returns a page with its figures filled in.
 * @throws If a comment names figures that do not exist, or does not have its end.
 */
export function fillFigures(page: string): string {
  const filled = page.replace(
    /(<!-- figures: (.+?) -->)([\s\S]*?)(<!-- end -->|(?=<!-- figures:)|$)/g,
    (_, start: string, words: string, _old: string, end: string) => {
      const [name = '', ...rest] = [...words.matchAll(/"([^"]*)"|(\S+)/g)].map(
        ([, quoted, word]) => quoted ?? word!,
      );
      const figure = FIGURES[name];
      if (!figure)
        throw new Error(`there are no figures '${name}'; there are ${Object.keys(FIGURES).join(', ')}`);
      if (end === '') throw new Error(`'${start}' does not have its <!-- end -->`);
      const text = figure(...rest);
      return text.includes('\n') ? `${start}\n\n${text}\n\n${end}` : `${start}${text}${end}`;
    },
  );
  return filled;
}

/** Returns where a report comes from: `2 × AMD EPYC, 2026-11-30, Node 20.20.2, … (npm run bench:price)`. */
const sourceOf = ({ machine, date, versions, command }: Report<unknown>): string => {
  const all = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `\`${command}\`: ${machine}, ${date}, ${all.join(', ')}`;
};

const ratio = (value: number): string => `${value.toPrecision(value < 10 ? 2 : 3)} ×`;
const milliseconds = (ms: number): string => `${ms.toPrecision(ms < 100 ? 2 : 3)} ms`;
const withSpread = ({ low, median, high }: Quartiles): string =>
  `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
const formatError = (error: number | null): string => error?.toExponential(1) ?? 'NaN';
const shapeOf = (text: string): string => text.replaceAll('x', '×');

function groupNormRow(shape: string, runner: string): GroupNormRow {
  const { rows } = read<GroupNormRow>('group-norm');
  const found = rows.find((row) => row.shape.join('×') === shapeOf(shape) && row.runner === runner);
  if (!found) throw new Error(`group-norm.json does not have ${shape}, '${runner}'`);
  return found;
}

function accuracyRow(shape: string, mean: number, runner: string): AccuracyRow {
  const { rows } = read<AccuracyRow>('accuracy');
  const found = rows.find(
    (row) => row.shape.join('×') === shapeOf(shape) && row.mean === mean && row.runner === runner,
  );
  if (!found) throw new Error(`accuracy.json does not have ${shape}, mean ${mean}, '${runner}'`);
  return found;
}

/** A row for each runner, a column for each setting. */
function pivot<Row>(
  rows: readonly Row[],
  first: string,
  { setting, runner, cell }: Readonly<Record<'setting' | 'runner' | 'cell', (row: Row) => string>>,
): string {
  const [settings, runners] = [[...new Set(rows.map(setting))], [...new Set(rows.map(runner))]];
  const cells = runners.map((name) => [
    name,
    ...settings.map((one) => {
      const row = rows.find((found) => setting(found) === one && runner(found) === name);
      return row ? cell(row) : '–';
    }),
  ]);
  return table([first, ...settings], cells);
}

function groupNormTable(): string {
  return pivot(read<GroupNormRow>('group-norm').rows, 'milliseconds of a call', {
    setting: ({ shape, bytes }) =>
      `${shape.join('×')}, ${bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : megabytes(shape)}`,
    runner: ({ runner }) => runner,
    cell: ({ ms }) => String(Number(ms.median.toPrecision(2))),
  });
}

function accuracyTable(): string {
  const { rows } = read<AccuracyRow>('accuracy');
  const shape = rows.at(-1)!.shape.join();
  return pivot(
    rows.filter((row) => row.shape.join() === shape),
    `${rows.at(-1)!.shape.join('×')}`,
    {
      setting: ({ mean }) => `mean ${mean.toLocaleString('en-US')}`,
      runner: ({ runner }) => runner,
      cell: ({ error }) => formatError(error),
    },
  );
}

const networkOf = ({ network, shape }: PriceRow): string => `${NETWORK_NAMES[network] ?? network}, ${shape}`;

function networksTable(): string {
  return pivot(fastestForms(read<PriceRow>('price').rows), 'ms (times as long as onnx-groupnorm)', {
    setting: networkOf,
    runner: ({ contestant }) => contestant,
    cell: ({ ms, overOurs, contestant }) =>
      contestant === 'onnx-groupnorm'
        ? milliseconds(ms.median)
        : `${ms.median.toPrecision(3)} (${ratio(overOurs.median)})`,
  });
}

function priceTable(): string {
  return pivot(inOrder(read<PriceRow>('price').rows), 'time with norms ÷ without', {
    setting: networkOf,
    runner: ({ contestant }) => contestant,
    cell: ({ price }) => withSpread(price),
  });
}

function eventLoopTable(): string {
  const { rows } = read<EventLoopRow>('event-loop');
  const cells = rows.map(({ runner, run, p50, p99, longest }) => [
    runner,
    ...[run, p50, p99, longest].map((ms) => milliseconds(ms)),
  ]);
  return table(['U-Net, 1×3×256×256', 'a run', 'delay, median', '99th percentile', 'longest'], cells);
}

function overheadTable(): string {
  const cells = read<OverheadRow>('overhead').rows.map(({ server, p50 }) => [server, withSpread(p50)]);
  return table(['server', 'median of a request, ms'], cells);
}

function serveTable(): string {
  const cells = read<ServeRow>('serve').rows.map(
    ({ model, shape, connections, server, perSecond, p50, p99 }) => [
      `${model}, ${shape}, ${connections} connections`,
      server,
      withSpread(perSecond),
      ...[p50, p99].map(({ median }) => median.toFixed(0)),
    ],
  );
  return table(['model', 'server', 'requests/s', 'p50, ms', 'p99, ms'], cells);
}

type Ours = keyof ExportRow['speedups'];

const speed = (value: number): string => `${value.toFixed(2)} ×`;
const exportSpeeds = (ours: Ours): number[] =>
  read<ExportRow>('exports').rows.flatMap(({ speedups }) => speedups[ours]?.median ?? []);

function exportsTable(ours: Ours): string {
  const rows = read<ExportRow>('exports')
    .rows.filter(({ speedups }) => speedups[ours])
    .sort((a, b) => compareTexts(a.form, b.form) || compareTexts(a.network, b.network));
  return pivot(rows, 'times as fast', {
    setting: ({ form }) => form,
    runner: ({ network }) => network,
    cell: ({ speedups }) => withSpread(speedups[ours]!),
  });
}

const compareTexts = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

function batchingTable(): string {
  const cells = read<BatchingRow>('batching').rows.map(({ model, perSecond, ratio, p99 }) => [
    model,
    ...[perSecond.off, perSecond.on].map((rate) => rate.toFixed(0)),
    withSpread(ratio),
    ...[p99.off, p99.on].map((ms) => milliseconds(ms)),
  ]);
  return table(['model', 'off, requests/s', 'on, requests/s', 'on ÷ off', 'off, p99', 'on, p99'], cells);
}

function unetPeersTable(): string {
  const cells = read<UNetPeerRow>('unet-peers').rows.map(({ bytes, nodes, load, run, error, ...row }) => [
    row.export,
    String(nodes),
    (bytes / 1e6).toFixed(1),
    ...[load, run].map(({ native, plain }) => `${native.toFixed(0)} / ${plain.toFixed(0)}`),
    `${formatError(error.native)} / ${formatError(error.plain)}`,
  ]);
  return table(['export', 'nodes', 'MB', 'load, ms', 'run, ms', 'error'], cells);
}

/** The files of a network that `scripts/docs/exporters.py` compares, and PyTorch itself, which has errors alone. */
interface ExporterRow {
  readonly network: string;
  readonly form: string;
  readonly opset?: number;
  readonly nodes?: number;
  readonly bytes?: number;
  readonly bytesOfWeights?: number;
  readonly keysKept?: number;
  readonly keys?: number;
  /** By the input: the largest distance from float64; `null` for NaN, a word if there is no result. */
  readonly errors: Readonly<Record<string, { readonly float64: number | string | null }>>;
}

function exportersTable(): string {
  const cells = read<ExporterRow>('exporters').rows.map(({ network, form, errors, ...file }) => {
    const { opset, nodes, bytes = 0, bytesOfWeights = 0, keysKept, keys } = file;
    const [normal, largeMean] = [errors['normal'], errors['large mean']].map((error) =>
      typeof error?.float64 === 'string' ? error.float64 : formatError(error?.float64 ?? null),
    );
    const figures =
      opset === undefined
        ? ['–', '–', '–', '–']
        : [opset, nodes, ((bytes - bytesOfWeights) / 1000).toFixed(1), `${keysKept} of ${keys}`];
    return [network, form, ...figures.map(String), normal!, largeMean!];
  });
  return table(
    [
      'network',
      'file',
      'opset',
      'nodes',
      'kB besides the weights',
      'keys kept',
      'error',
      'error, large mean',
    ],
    cells,
  );
}

function enduranceTable(): string {
  const cells = read<EnduranceRow>('endurance').rows.map(({ third, answered, left, memory, mostMemory }) => [
    String(third),
    ...[answered, left, memory, mostMemory].map((value) => Math.round(value).toLocaleString('en-US')),
  ]);
  return table(
    ['third of the time', 'answered', 'left by their client', 'resident memory, MB', 'at most, MB'],
    cells,
  );
}

function vaeTable(): string {
  const cells = read<VaeRow>('vae').rows.map(({ latent, contestant, seconds, overOurs }) => [
    `${8 * latent}×${8 * latent}`,
    contestant,
    withSpread(seconds),
    ratio(overOurs.median),
  ]);
  return table(['picture', 'contestant', 'seconds', 'times as long as native'], cells);
}

/** What the fuzzer did with the files of a format: `npm run fuzz -- --json FILE` writes it. */
export interface FuzzRow {
  readonly format: string;
  readonly files: number;
  /** Calls that returned, and calls that ended with an error of a code that the format has. */
  readonly returned: number;
  readonly refused: number;
}

function fuzzTable(): string {
  const cells = read<FuzzRow>('fuzz').rows.map(({ format, ...counts }) => [
    format,
    ...[counts.files, counts.returned, counts.refused].map((count) => count.toLocaleString('en-US')),
  ]);
  return table(['format', 'files', 'calls that returned', 'calls that were refused'], cells);
}

function pageTable(): string {
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(2);
  const cells = read<PageMemoryRow>('page-memory').rows.map(({ browser, model, ...memory }) => [
    browser,
    gigabytes(model),
    ...[memory.before, memory.open, memory.run, memory.after].map(gigabytes),
  ]);
  return table(['GB', 'model', 'before', 'opening, at most', 'running, at most', 'after'], cells);
}

/** The pages that have figures. */
export const PAGES = ['README.md', ...readdirSync(new URL('../../docs/', import.meta.url))]
  .filter((name) => name.endsWith('.md'))
  .map((name) => (name === 'README.md' ? name : `docs/${name}`));

export const pathOf = (page: string): string => fileURLToPath(new URL(`../../${page}`, import.meta.url));
export const readPage = (page: string): string => readFileSync(pathOf(page), 'utf8');
