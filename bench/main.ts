/**
 * Runs the benchmarks of the docs one after another, and draws their plots.
 *
 *   npm run bench -- [--only NAME]... [--plot DIR] [--quick] [--python PYTHON-WITH-TORCH] [--draw]
 *
 * NAME is a plot: group-norm, … With --plot the reports (NAME.json) and the plots (NAME-light.svg, NAME-dark.svg) go to
 * DIR. With --quick a benchmark has few rounds and sizes: all take some minutes, and the figures spread more. Without --python PyTorch
 * does not run. With --draw no benchmark runs: the plots are drawn from the reports in DIR.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PLOTS } from './plots/plots.js';
import { renderPlot, THEMES } from './plots/render.js';

const QUICK_SHAPES = ['1x32x8x8', '1x320x16x16', '1x320x64x64', '1x128x256x256'];
/** The options of a benchmark with few rounds. */
const QUICK: Readonly<Record<string, readonly string[]>> = {
  'group-norm': ['--rounds', '3', ...QUICK_SHAPES.flatMap((shape) => ['--only', shape])],
  price: ['--rounds', '2'],
  'event-loop': ['--runs', '3'],
  serve: ['--rounds', '2', '--seconds', '1', '--connections', '16'],
};
/** The benchmarks that PyTorch takes part in. */
const WITH_PYTORCH = ['group-norm', 'accuracy', 'price'];

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: Object.keys(PLOTS) },
    plot: { type: 'string' },
    quick: { type: 'boolean', default: false },
    python: { type: 'string' },
    draw: { type: 'boolean', default: false },
  },
});

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

for (const name of values.only)
  if (!(name in PLOTS)) fail(`--only takes a plot (${Object.keys(PLOTS).join(', ')}); got '${name}'`);
if (values.draw && values.plot === undefined) fail('--draw needs --plot DIR, the folder of the reports');
if (values.plot !== undefined) mkdirSync(values.plot, { recursive: true });

const { python } = values;
const argumentsOf = (benchmark: string): string[] => [
  ...(values.quick ? (QUICK[benchmark] ?? []) : []),
  ...(python !== undefined && WITH_PYTORCH.includes(benchmark) ? ['--python', python] : []),
];
const reportOf = (benchmark: string): string[] =>
  values.plot === undefined ? [] : [join(values.plot, `${benchmark}.json`)];

if (!values.draw) {
  for (const benchmark of new Set(values.only.map((name) => PLOTS[name]!.benchmark))) {
    const program = fileURLToPath(new URL(`${benchmark}.ts`, import.meta.url));
    const json = reportOf(benchmark).flatMap((file) => ['--json', file]);
    const args = ['--import', 'tsx', program, ...argumentsOf(benchmark), ...json];
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (status !== 0) fail(`the benchmark ${benchmark} ended with ${status}`);
  }
}

if (values.plot !== undefined) {
  for (const name of values.only) {
    const { benchmark, read } = PLOTS[name]!;
    const [file] = reportOf(benchmark) as [string];
    if (!existsSync(file)) fail(`${file} is missing: run the benchmark ${benchmark} without --draw`);
    for (const theme of THEMES)
      writeFileSync(join(values.plot, `${name}-${theme}.svg`), await renderPlot(read(file), theme));
  }
}
