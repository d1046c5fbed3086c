import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/temporary.js';

const INSTALL = fileURLToPath(new URL('../../native/install.mjs', import.meta.url));
const ABSENT = "Models run without it, slower; 'npx onnx-groupnorm doctor' says more";

/** What node-gyp, make and compilers print, with lines that they print in any case. */
const FAILURES = {
  'node-gyp needs Python 3, which was not found':
    'gyp ERR! find Python You need to install the latest version of Python.\nError: Could not find any Python installation to use',
  'there is no make':
    'gyp info find Python using Python version 3.11.7 found at "/usr/bin/python3"\ngyp ERR! stack Error: not found: make',
  'there is no C++ compiler':
    'gyp info find Python using Python version 3.11.7 found at "/usr/bin/python3"\nmake: g++: No such file or directory',
  'kernel/rows.cc:7:3: error: expected identifier':
    'gyp info find Python using Python version 3.11.7 found at "/usr/bin/python3"\nkernel/rows.cc:7:3: error: expected identifier\nmake: *** [kernel.o] Error 1',
};

/** The user's npm configuration as node-gyp reads it from the environment, in place of the options that it is called with. */
const OVERRIDES = [
  'npm_config_nodedir',
  'NPM_CONFIG_NODEDIR',
  'npm_package_config_node_gyp_nodedir',
  'npm_config_directory',
  'npm_config_debug',
];

describe('the install script', () => {
  const path = temporaryFolder();

  /** Runs it in a folder of its own, with a node-gyp that prints a text and ends with a status, which may be code. */
  async function install(
    output: string,
    status: number | string,
    env: NodeJS.ProcessEnv = {},
  ): Promise<string> {
    await mkdir(path('native'), { recursive: true });
    await copyFile(INSTALL, path('native/install.mjs'));
    await writeFile(
      path('node-gyp.cjs'),
      `console.error(${JSON.stringify(output)}); process.exit(${status});`,
    );
    const { stdout, status: ended } = spawnSync(process.execPath, [path('native/install.mjs')], {
      encoding: 'utf8',
      env: { ...process.env, ONNX_GROUPNORM_ADDON: '', npm_config_node_gyp: path('node-gyp.cjs'), ...env },
    });
    expect(ended, 'an install never fails for want of the addon').to.equal(0);
    return stdout.trim();
  }

  it('the install script says in one line that it built the addon', async function () {
    if (process.platform === 'win32') this.skip();
    expect(await install('', 0)).to.equal('onnx-groupnorm: native kernel: built');
  });

  for (const [reason, output] of Object.entries(FAILURES)) {
    it(`the install script says '${reason}', and keeps the whole output`, async function () {
      if (process.platform === 'win32') this.skip();
      expect(await install(output, 1)).to.equal(
        `onnx-groupnorm: native kernel not built: ${reason}. ${ABSENT}`,
      );
      const log = await readFile(path('native/build/install.log'), 'utf8');
      expect(log.split('\n')[0]).to.equal(reason);
      expect(log).to.include(output);
    });
  }

  it('the install script takes the node-gyp of npm where the package manager names none, as Yarn does', async function () {
    if (process.platform === 'win32') this.skip();
    await writeFile(path('npm'), `#!/bin/sh\necho '${path('node-gyp.cjs')}'\n`);
    await chmod(path('npm'), 0o755);
    const env = { npm_config_node_gyp: undefined, PATH: path() };
    expect(await install('', 0, env)).to.equal('onnx-groupnorm: native kernel: built');
  });

  it('the install script says that there is no node-gyp where there is no npm either', async function () {
    if (process.platform === 'win32') this.skip();
    const said = await install('', 0, { npm_config_node_gyp: undefined, PATH: path() });
    expect(said).to.include('not built: there is no node-gyp, which comes with npm, and npm was not found.');
  });

  for (const name of OVERRIDES) {
    it(`the install script builds with its own headers, into its own folder, whatever ${name} says`, async function () {
      if (process.platform === 'win32') this.skip();
      const status = `Object.keys(process.env).includes('${name}') ? 1 : 0`;
      expect(await install('', status, { [name]: '/usr' })).to.equal('onnx-groupnorm: native kernel: built');
    });
  }

  it("the install script leaves the rest of npm's configuration to node-gyp", async function () {
    if (process.platform === 'win32') this.skip();
    const status = "process.env.npm_config_python === '/usr/bin/python3.11' ? 0 : 1";
    const said = await install('', status, { npm_config_python: '/usr/bin/python3.11' });
    expect(said).to.equal('onnx-groupnorm: native kernel: built');
  });

  it('the install script recognises that the compiler in CXX does not exist', async function () {
    if (process.platform === 'win32') this.skip();
    const output = "FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent/g++-12'";
    expect(await install(output, 1)).to.include('there is no C++ compiler');
  });

  /** Lays a prebuilt binary, and a self-check that is this code. */
  async function layPrebuilt(selfCheck: string): Promise<void> {
    const binary = path(`native/prebuilt/${process.platform}-${process.arch}/onnx_groupnorm.node`);
    await mkdir(dirname(binary), { recursive: true });
    await writeFile(binary, '');
    await writeFile(path('native/self-check.mjs'), selfCheck);
  }
  const log = (): Promise<string> => readFile(path('native/build/install.log'), 'utf8');

  it('the install script takes a prebuilt binary that passes its self-check, and builds nothing', async () => {
    await layPrebuilt("console.log('avx2')");
    expect(await install('', 1)).to.equal('onnx-groupnorm: native kernel: prebuilt (avx2)');
  });

  it('the install script checks the prebuilt binary itself, whatever binary is built', async () => {
    await layPrebuilt(
      "console.log(process.env.ONNX_GROUPNORM_ADDON.includes('prebuilt') ? 'avx2' : 'another')",
    );
    expect(await install('', 1)).to.include('prebuilt (avx2)');
  });

  const FAULTS = {
    "console.error('Error: it computes [1, 1]'); process.exit(1)": 'Error: it computes [1, 1]',
    "process.kill(process.pid, 'SIGILL')": 'it ended with SIGILL',
    "console.log('portable')": 'it does not use the vector instructions of this machine',
  };
  for (const [selfCheck, problem] of Object.entries(FAULTS)) {
    it(`the install script builds if of the prebuilt binary it finds '${problem}'`, async function () {
      const vectors =
        process.arch === 'arm64' || (await readFile('/proc/cpuinfo', 'utf8')).includes(' avx2 ');
      if (process.platform !== 'linux' || !vectors) this.skip();
      await layPrebuilt(selfCheck);
      expect(await install('', 0)).to.equal('onnx-groupnorm: native kernel: built');
      await install('', 1);
      const [reason] = (await log()).split('\n');
      expect(reason).to.equal(`the prebuilt binary does not work here (${problem}), and the build failed`);
    });
  }

  it('the install script builds on request, and where there is a local build, whatever is prebuilt', async () => {
    await layPrebuilt("console.log('avx2')");
    const built = 'onnx-groupnorm: native kernel: built';
    expect(await install('', 0, { npm_config_build_from_source: 'true' })).to.equal(built);
    await mkdir(path('native/build/Release'), { recursive: true });
    await writeFile(path('native/build/Release/onnx_groupnorm.node'), 'of older sources');
    expect(await install('', 0)).to.equal(built);
  });

  it('the install script leaves the prebuilt binary in use if the build that was asked for fails', async () => {
    await layPrebuilt("console.log('avx2')");
    const said = await install('', 1, { npm_config_build_from_source: 'true' });
    expect(said).to.include('not built: the build failed').and.to.include('The prebuilt binary stays in use');
    expect(existsSync(path('native/build/install.log'))).to.equal(false);
  });

  it('the install script leaves the addon out with ONNX_GROUPNORM_ADDON=skip', async () => {
    const said = await install('', 1, { ONNX_GROUPNORM_ADDON: 'skip' });
    expect(said).to.equal('onnx-groupnorm: native kernel left out, as asked');
  });
});
