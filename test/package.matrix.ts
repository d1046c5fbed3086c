import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Diagnosis } from '../lib/cli/commands/doctor.js';
import { loadAddon } from '../lib/runtime/native/addon.js';
import { HAS_PREBUILT, OFFLINE, pack, testPackage } from './support/packed-package.js';

testPackage({ addon: 'built' });
testPackage({ addon: 'skip' });

const execute = promisify(execFile);

/** A package manager of npm's registry. */
interface Manager {
  readonly package: string;
  readonly program: string;
  /** What goes into package.json before the package is added. */
  readonly manifest?: object;
  /** Files of the project, besides package.json. */
  readonly files?: Readonly<Record<string, string>>;
  readonly add: (archive: string) => readonly string[];
  /** How it runs the command of a package, so that only that command prints. */
  readonly run: readonly string[];
  /** What doctor must name where the install script did not run, and the same for this test. */
  readonly approve?: {
    readonly named: readonly string[];
    /** What goes into package.json. */
    readonly manifest?: object;
    readonly commands: readonly (readonly string[])[];
  };
}

const YARN_4: Manager = {
  package: '@yarnpkg/cli-dist@4',
  program: '@yarnpkg/cli-dist/bin/yarn.js',
  add: (archive) => ['add', `onnx-groupnorm@file:${archive}`],
  run: ['run'],
  approve: {
    named: ['"dependenciesMeta": { "onnx-groupnorm": { "built": true } }', 'yarn rebuild onnx-groupnorm'],
    manifest: { dependenciesMeta: { 'onnx-groupnorm': { built: true } } },
    commands: [['rebuild', 'onnx-groupnorm']],
  },
};

const MANAGERS: Readonly<Record<string, Manager>> = {
  'npm 12': {
    package: 'npm@12',
    program: 'npm/bin/npm-cli.js',
    add: (archive) => ['install', '--no-audit', '--no-fund', archive],
    run: ['exec', '--'],
    approve: {
      named: ['npm install-scripts approve onnx-groupnorm', 'npm rebuild onnx-groupnorm'],
      commands: [
        ['install-scripts', 'approve', 'onnx-groupnorm'],
        ['rebuild', 'onnx-groupnorm'],
      ],
    },
  },
  'pnpm 10': {
    package: 'pnpm@10',
    program: 'pnpm/bin/pnpm.cjs',
    add: (archive) => ['add', archive],
    run: ['exec'],
    approve: {
      named: ['pnpm approve-builds'],
      // Without --all it asks, and waits for keys.
      commands: [['approve-builds', '--all']],
    },
  },
  'Yarn 1': {
    package: 'yarn@1',
    program: 'yarn/bin/yarn.js',
    // Yarn 1 stops at the "engines" of any dependency: docs/native-kernel.md, "Installing it".
    manifest: { resolutions: { 'light-my-request': '6.6.0' } },
    add: YARN_4.add,
    run: ['--silent', 'run'],
  },
  'Yarn 4 with node_modules': {
    ...YARN_4,
    files: { 'yarn.lock': '', '.yarnrc.yml': 'nodeLinker: node-modules' },
  },
  "Yarn 4 with Plug'n'Play": {
    ...YARN_4,
    files: { 'yarn.lock': '', '.yarnrc.yml': 'nodeLinker: pnp' },
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
    it(`${name} installs the prebuilt kernel, or builds it once its user did what doctor says`, async function () {
      const [tools, app] = [join(folder, name, 'tools'), join(folder, name, 'app')];
      for (const made of [tools, app]) await mkdir(made, { recursive: true });
      const manifest = join(app, 'package.json');
      await writeFile(manifest, JSON.stringify({ name: 'app', private: true, ...manager.manifest }));
      for (const [file, text] of Object.entries(manager.files ?? {})) await writeFile(join(app, file), text);
      const run = async (args: readonly string[]) =>
        (
          await execute(process.execPath, [join(tools, 'node_modules', manager.program), ...args], {
            cwd: app,
            env,
          })
        ).stdout;
      const kernel = async () =>
        (JSON.parse(await run([...manager.run, 'onnx-groupnorm', 'doctor', '--json'])) as Diagnosis)
          .nativeKernel;
      try {
        await execute('npm', ['install', '--prefix', tools, '--no-audit', '--no-fund', manager.package]);
        await run(manager.add(archive));
      } catch (error) {
        const { stdout, stderr } = error as { stdout?: string; stderr?: string };
        if (!OFFLINE.test(`${stdout}${stderr}`)) throw error;
        console.log('    not run: the package registry cannot be reached');
        this.skip();
      }
      if (HAS_PREBUILT) expect((await kernel()).origin).to.equal('prebuilt');
      else if (manager.approve) {
        const { reason, remedy } = await kernel();
        expect(reason).to.include('did not run the install script');
        for (const said of manager.approve.named) expect(remedy).to.include(said);
        const now = JSON.parse(await readFile(manifest, 'utf8')) as object;
        await writeFile(manifest, JSON.stringify({ ...now, ...manager.approve.manifest }));
        for (const command of manager.approve.commands) await run(command);
      }
      const { reason, path } = await kernel();
      expect(reason).to.be.undefined;
      expect(path).to.include('onnx-groupnorm').and.to.include(folder);
    });
  }
});

/** The tests of an application, and what they share. */
const JEST_TESTS = fileURLToPath(new URL('support/packed-jest', import.meta.url));

describe('the packed package in an application that tests with Jest', function () {
  this.timeout(900_000);
  let app: string;
  const node = (args: readonly string[], options = '') =>
    execute(process.execPath, args, {
      cwd: app,
      env: { ...process.env, ONNX_GROUPNORM_ADDON: loadAddon().binary?.path, NODE_OPTIONS: options },
    });

  before(async function () {
    app = await mkdtemp(join(tmpdir(), 'jest application-'));
    const archive = await pack(app);
    await cp(JEST_TESTS, app, { recursive: true });
    await writeFile(join(app, 'package.json'), '{ "name": "app", "private": true }');
    try {
      const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
      await execute('npm', ['install', ...flags, archive, 'jest@30', 'jest-environment-jsdom@30'], {
        cwd: app,
      });
    } catch (error) {
      if (!OFFLINE.test(String((error as { stderr?: string }).stderr))) throw error;
      console.log('    not run: the package registry cannot be reached');
      this.skip();
    }
  });

  after(() => rm(app, { recursive: true, force: true }));

  it('the packed package can be required in Jest, and says there what does not work', () =>
    node(['node_modules/jest/bin/jest.js', 'plain']));

  it('the packed package runs on onnxruntime-node and onnxruntime-web in Jest as its messages say', () =>
    node(['node_modules/jest/bin/jest.js', 'prepared'], '--experimental-vm-modules'));

  it('the packed package runs in Jest with jsdom, in an environment as docs/sessions.md has it', () =>
    node(['node_modules/jest/bin/jest.js', 'jsdom'], '--experimental-vm-modules'));
});
