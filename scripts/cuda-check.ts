/**
 * The whole parity suite and the benchmarks on a machine with a GPU, as a report in docs/.
 *
 *   npm run cuda-check -- --help
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { PROVIDERS, type FloatDType, type Provider } from '../lib/index.js';
import { writeFilesAtomic } from '../lib/files/atomic.js';
import { SESSION_LOWERING_NAMES } from '../lib/lowering/index.js';
import { chooseBackend } from '../lib/runtime/choose-backend.js';
import { chosenLowering, GROUP_NORM_CHOICES } from '../lib/runtime/group-norm-choice.js';
import { requireProvider } from '../lib/runtime/providers.js';
import { runCases } from './device-check/cases.js';
import { describeDevice, slug } from './device-check/device.js';
import { prepareFolder } from './device-check/npm-libraries.js';
import { renderReport } from './device-check/render.js';
import type { DeviceReport } from './device-check/report.js';
import { measureShapes } from './device-check/timings.js';
import { chooseWinners } from './device-check/winners.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, '.cuda-runtime');

const OPTIONS = {
  provider: { type: 'string', default: 'cuda' },
  out: { type: 'string', default: join(ROOT, 'docs') },
  rounds: { type: 'string', default: '30' },
  cases: { type: 'string', default: '' },
  opsets: { type: 'string', default: '13,17,18,20,21,25' },
  shapes: {
    type: 'string',
    default: '1x64x8x8,1x320x64x64,2x640x32x32,2x1280x16x16,8x256x32x32,1x128x256x256',
  },
  dtypes: { type: 'string', default: 'float32,float16' },
  'with-npm-libraries': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const HELP = `Usage: npm run cuda-check -- [options]

Runs the parity suite and times GroupNormalization in every way that a provider has, and writes
PROVIDER-DEVICE.json and .md. Where the provider cannot be used it says why and writes nothing.

  --provider NAME       ${PROVIDERS.filter((name) => name !== 'native').join(', ')} (default cuda)
  --out DIR             where the report goes (default docs)
  --rounds N            rounds of the timings (default ${OPTIONS.rounds.default})
  --cases REGEX         only these cases, of names such as 'group-norm float16' (default all)
  --opsets LIST         of the suite (default ${OPTIONS.opsets.default})
  --shapes LIST         of the timings, 32 groups (default ${OPTIONS.shapes.default})
  --dtypes LIST         of the timings (default ${OPTIONS.dtypes.default})
  --with-npm-libraries  use onnxruntime-node 1.29.0 and, for CUDA 13, the provider that an npm package has:
                        downloads 290 MB into .cuda-runtime and changes nothing in node_modules

Exit codes: 0 every case passed; 1 one did not, or the provider cannot be used; 2 bad usage.
`;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values['with-npm-libraries']) return runWithNpmLibraries(values.out);
  const provider = requireRewriting(values.provider);
  const { problems } = await chooseBackend(provider, true);
  if (problems) {
    console.error(`not run: ${provider} cannot be used on this machine, in the order in which to see to it:`);
    for (const { reason, remedy } of problems) {
      console.error(`  ${reason}${remedy === undefined ? '' : `\n    → ${remedy}`}`);
    }
    return 1;
  }
  const report = await check(provider, values);
  const path = await write(report, resolve(values.out));
  const failed = report.suite.filter(({ outcome }) => outcome !== 'passed').length;
  console.log(
    `${report.suite.length - failed} of ${report.suite.length} cases passed on ${report.device.name}: ${path}`,
  );
  return failed === 0 && report.suite.length > 0 ? 0 : 1;
}

/** `native` has its own kernel, which bench/native.ts measures. */
function requireRewriting(name: string): Provider {
  const provider = requireProvider(name);
  if (provider === 'native')
    throw new RangeError('native runs no rewrites: npm run bench:native measures it');
  return provider;
}

type Values = Readonly<Record<'rounds' | 'cases' | 'opsets' | 'shapes' | 'dtypes', string>>;

async function check(provider: Provider, values: Values): Promise<DeviceReport> {
  const baseline = chosenLowering(GROUP_NORM_CHOICES[provider]);
  const rounds = positive(values.rounds);
  const common = { provider, progress: (text: string) => process.stderr.write(`${text}\n`) };
  const cases = await runCases({
    ...common,
    opsets: values.opsets.split(',').map(positive),
    names: new RegExp(values.cases),
    candidates: SESSION_LOWERING_NAMES,
  });
  const shapes = await measureShapes({
    ...common,
    shapes: values.shapes.split(',').map((text) => text.split('x').map(positive)),
    dtypes: values.dtypes.split(',') as FloatDType[],
    ways: SESSION_LOWERING_NAMES,
    baseline,
    rounds,
  });
  return {
    provider,
    date: new Date().toISOString().slice(0, 10),
    device: describeDevice(provider),
    defaultGroupNorm: baseline,
    rounds,
    ...cases,
    ...shapes,
    winners: chooseWinners(shapes.timings, baseline),
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`'${text}' must be a whole number of at least 1`);
}

/** Both files or neither. */
async function write(report: DeviceReport, folder: string): Promise<string> {
  const base = join(folder, `${report.provider}-${slug(report.device.name)}`);
  const options = { ...(await resolveConfig(join(ROOT, 'README.md'))), parser: 'markdown' };
  const markdown = await format(renderReport(report), options);
  await writeFilesAtomic([
    { path: `${base}.json`, content: Buffer.from(`${JSON.stringify(report, null, 2)}\n`) },
    { path: `${base}.md`, content: Buffer.from(markdown) },
  ]);
  return `${base}.md`;
}

/** The same again, by the copy. */
function runWithNpmLibraries(out: string): number {
  prepareFolder(ROOT, FOLDER);
  const args = process.argv.slice(2).filter((text) => text !== '--with-npm-libraries');
  const child = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(FOLDER, 'scripts/cuda-check.ts'), ...args, '--out', resolve(out)],
    { cwd: FOLDER, stdio: 'inherit' },
  );
  return child.status ?? 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
