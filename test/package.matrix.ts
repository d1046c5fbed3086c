import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Diagnosis } from '../lib/cli/commands/doctor.js';
import { OFFLINE, pack, testPackage } from './support/packed-package.js';

testPackage({ addon: 'built' });

const execute = promisify(execFile);

/** A package manager of npm's registry, and how it installs a package whose install script it lets run. */
interface Manager {
  readonly package: string;
  readonly program: string;
  readonly files: Readonly<Record<string, string>>;
  /** How it runs the command of a package, so that only that command prints. */
  readonly run: readonly string[];
  readonly commands: (archive: string) => readonly (readonly string[])[];
}

const MANIFEST = '{ "name": "app", "private": true }';
const APPROVED =
  '{ "name": "app", "private": true, "dependenciesMeta": { "onnx-groupnorm": { "built": true } } }';
const ADD_WITH_YARN = (archive: string) => [['add', `onnx-groupnorm@file:${archive}`]];

const MANAGERS: Readonly<Record<string, Manager>> = {
  'pnpm 10': {
    package: 'pnpm@10',
    program: 'pnpm/bin/pnpm.cjs',
    run: ['exec'],
    files: { 'package.json': MANIFEST },
    commands: (archive) => [
      ['add', archive],
      ['approve-builds', '--all'],
    ],
  },
  'Yarn 1': {
    package: 'yarn@1',
    program: 'yarn/bin/yarn.js',
    run: ['--silent', 'run'],
    files: { 'package.json': MANIFEST },
    commands: ADD_WITH_YARN,
  },
  'Yarn 4 with node_modules': {
    package: '@yarnpkg/cli-dist@4',
    program: '@yarnpkg/cli-dist/bin/yarn.js',
    run: ['run'],
    files: { 'package.json': APPROVED, 'yarn.lock': '', '.yarnrc.yml': 'nodeLinker: node-modules' },
    commands: ADD_WITH_YARN,
  },
  "Yarn 4 with Plug'n'Play": {
    package: '@yarnpkg/cli-dist@4',
    program: '@yarnpkg/cli-dist/bin/yarn.js',
    run: ['run'],
    files: { 'package.json': APPROVED, 'yarn.lock': '', '.yarnrc.yml': 'nodeLinker: pnp' },
    commands: ADD_WITH_YARN,
  },
};

describe('the kernel, installed by package managers', function () {
  this.timeout(900_000);
  let folder: string;
  let archive: string;
  // What the npm that runs these tests tells its scripts must not reach the package managers.
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    // The slowest part is the optimizer of the C++ compiler.
    CXXFLAGS: '-O0',
    // As from the npm configuration of a user who builds against headers of Node elsewhere.
    npm_config_nodedir: '/nonexistent',
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'package managers-'));
    archive = await pack(folder);
  });

  after(() => rm(folder, { recursive: true, force: true }));

  for (const [name, manager] of Object.entries(MANAGERS)) {
    it(`${name} builds the kernel where it may run the install script, and doctor finds it`, async function () {
      const [tools, app] = ['tools', 'app'].map((part) => join(folder, name, part));
      for (const made of [tools!, app!]) await mkdir(made, { recursive: true });
      for (const [file, text] of Object.entries(manager.files)) await writeFile(join(app!, file), text);
      const program = join(tools!, 'node_modules', manager.program);
      const run = async (...args: readonly string[]) =>
        (await execute(process.execPath, [program, ...args], { cwd: app!, env })).stdout;
      try {
        await execute('npm', ['install', '--prefix', tools!, '--no-audit', '--no-fund', manager.package]);
        for (const command of manager.commands(archive)) await run(...command);
      } catch (error) {
        const { stdout, stderr } = error as { stdout?: string; stderr?: string };
        if (!OFFLINE.test(`${stdout}${stderr}`)) throw error;
        console.log('    not run: the package registry cannot be reached');
        this.skip();
      }
      const doctor = await run(...manager.run, 'onnx-groupnorm', 'doctor', '--json');
      const { nativeKernel } = JSON.parse(doctor) as Diagnosis;
      expect(nativeKernel.reason).to.be.undefined;
      expect(nativeKernel.path).to.include('onnx-groupnorm').and.to.include(folder);
    });
  }
});
