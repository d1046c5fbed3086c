/** The JSON of a benchmark: the plots and the figures of the docs come from it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';

/** What a benchmark has measured, and where. */
export interface Report<Row> {
  /** The command that makes the report. */
  readonly command: string;
  /** The day of the last run, such as `2026-11-30`. */
  readonly date: string;
  /** The processor, such as `2 × AMD EPYC`. */
  readonly machine: string;
  /** Versions of the contestants, by name. */
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
  /** Contestants that did not run, with the reasons. */
  readonly notRun: readonly string[];
}

const PEERS = { PyTorch: 'torch', OpenVINO: 'openvino' };
type Peer = keyof typeof PEERS;

interface Circumstances {
  /** The Python of the peers, if they ran. */
  readonly python?: string | undefined;
  readonly peers?: readonly Peer[];
  readonly notRun?: readonly string[];
}

/** Returns the report of rows that were measured now. */
export const reportOf = <Row>(
  command: string,
  rows: readonly Row[],
  { python, peers = [], notRun = [] }: Circumstances = {},
): Report<Row> => ({
  command,
  date: new Date().toISOString().slice(0, 10),
  machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}`,
  versions: { ...nodeVersions(), ...(python === undefined ? {} : pythonVersions(python, peers)) },
  rows,
  notRun,
});

/**
 * Writes a report. Rows of an earlier report in the file stay unless the new report has rows of the same setting: a long
 * benchmark can run in parts, one setting after another.
 */
export function writeReport<Row>(file: string, report: Report<Row>, settingOf: (row: Row) => string): void {
  const earlier = existsSync(file) ? readReport<Row>(file) : undefined;
  const settings = new Set(report.rows.map(settingOf));
  const kept = (earlier?.rows ?? []).filter((row) => !settings.has(settingOf(row)));
  const merged: Report<Row> = {
    ...report,
    versions: { ...earlier?.versions, ...report.versions },
    rows: [...kept, ...report.rows],
    notRun: [...new Set([...(earlier?.notRun ?? []), ...report.notRun])],
  };
  writeFileSync(file, format(merged));
}

/** One line a row, so that a comparison of two reports shows the rows that differ. */
function format({ rows, ...head }: Report<unknown>): string {
  const lines = rows.map((row) => JSON.stringify(row, roundFigures));
  const text = JSON.stringify({ ...head, rows: [] }, null, 2);
  return `${text.replace(/\[\]\n\}$/, () => `[\n    ${lines.join(',\n    ')}\n  ]\n}`)}\n`;
}

export const readReport = <Row>(file: string): Report<Row> =>
  JSON.parse(readFileSync(file, 'utf8')) as Report<Row>;

/** Four digits are more than a measurement has. */
const roundFigures = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;

function nodeVersions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const versionOf = (path: string) => (require(path) as { version: string }).version;
  return {
    Node: process.versions.node,
    'onnx-groupnorm': versionOf('../package.json'),
    'onnxruntime-node': versionOf('onnxruntime-node/package.json'),
  };
}

function pythonVersions(python: string, peers: readonly Peer[]): Record<string, string> {
  const versionOf = (peer: Peer): string => {
    const script = `import importlib.metadata as m; print(m.version('${PEERS[peer]}'))`;
    return execFileSync(python, ['-c', script], { encoding: 'utf8' }).trim().split(/[-+]/)[0]!;
  };
  return Object.fromEntries(peers.map((peer) => [peer, versionOf(peer)]));
}
