// Sees to the addon when the package is installed: takes the prebuilt binary that came with the package if it works on
// this machine, or else builds a binary. It says in one line what happened and never fails the install: without the
// addon everything works through onnxruntime-node. Needs no download: the headers of Node-API come with a package, and
// nodedir/ stands for the rest. `ONNX_GROUPNORM_ADDON=skip` leaves the addon out.
//
//   node install.mjs [--build-from-source]
//
// builds in any case, as `npm rebuild onnx-groupnorm --build-from-source` does.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const log = join(folder, 'build', 'install.log');
const built = join(folder, 'build', 'Release', 'onnx_groupnorm.node');
const platform = `${process.platform}-${process.arch}`;
const prebuilt = join(folder, 'prebuilt', platform, 'onnx_groupnorm.node');

const say = (message) => console.log(`onnx-groupnorm: ${message}`);

/** What there is to say, and where it failed the whole output of the build. */
function install() {
  const { ONNX_GROUPNORM_ADDON: addon } = process.env;
  if (addon === 'skip') {
    return { said: 'native kernel left out, as asked', reason: 'ONNX_GROUPNORM_ADDON=skip was set' };
  }
  if (hasMusl()) return failed('onnxruntime-node has no library for musl, the C library of Alpine Linux');
  if (mustBuild()) {
    const { said, reason, output } = build();
    if (!reason || !checkPrebuilt().instructionSet) return { said, reason, output };
    return { said: `native kernel not built: ${reason}. The prebuilt binary stays in use` };
  }
  const { instructionSet, problem } = checkPrebuilt();
  if (instructionSet) return { said: `native kernel: prebuilt (${instructionSet})` };
  const result = build();
  if (!problem || !result.reason) return result;
  return failed(`the prebuilt binary does not work here (${problem}), and ${result.reason}`, result.output);
}

/** Whether the user wants a build: asked for it, or has one, which the loader prefers and which may be out of date. */
function mustBuild() {
  const { npm_config_build_from_source: asked = '' } = process.env;
  return process.argv.includes('--build-from-source') || !['', 'false'].includes(asked) || existsSync(built);
}

/** The instruction set of the prebuilt binary, or why it does not work; neither if there is no prebuilt binary. */
function checkPrebuilt() {
  if (!existsSync(prebuilt)) return {};
  const { status, signal, stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(folder, 'self-check.mjs')],
    {
      encoding: 'utf8',
      env: { ...process.env, ONNX_GROUPNORM_ADDON: prebuilt },
      timeout: 60_000,
    },
  );
  if (status !== 0) {
    const lines = `${stderr ?? ''}\n${error ?? ''}`.split('\n').filter((line) => line.trim() !== '');
    const said = lines.find((line) => /error|cannot/i.test(line)) ?? lines[0] ?? `status ${status}`;
    return { problem: signal ? `it ended with ${signal}` : said.trim() };
  }
  const instructionSet = stdout.trim();
  if (instructionSet === 'portable' && hasVectors()) {
    return { problem: 'it does not use the vector instructions of this machine' };
  }
  return { instructionSet };
}

/** Whether the machine has NEON, or AVX2 as far as the operating system says so. */
function hasVectors() {
  return process.arch === 'arm64' || /^flags\b.*\bavx2\b/m.test(systemFile('/proc/cpuinfo'));
}

/** Whether this process runs on the C library of Alpine Linux. */
function hasMusl() {
  return systemFile('/proc/self/maps').includes('/ld-musl-');
}

/** The text of a file of Linux; empty where there is no such file. */
function systemFile(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The path of npm's node-gyp, for Yarn, which names none. Empty without npm, which as a rule comes with Node. */
function nodeGypOfNpm() {
  const { stdout } = spawnSync('npm', ['exec', '--call', 'node -p process.env.npm_config_node_gyp'], {
    encoding: 'utf8',
    cwd: folder,
  });
  return stdout?.trim();
}

function build() {
  if (process.platform === 'win32') return failed('a build on Windows has not been tried');
  const nodeGyp = process.env.npm_config_node_gyp || nodeGypOfNpm();
  if (!nodeGyp) return failed('there is no node-gyp, which comes with npm, and npm was not found');
  rmSync(built, { force: true });
  // A relative path: node-gyp writes the folder of the headers unquoted, and the way to this folder may have spaces.
  const options = ['configure', 'build', '-C', folder, '--nodedir', 'nodedir', '--jobs', 'max'];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [nodeGyp, ...options], {
    encoding: 'utf8',
    cwd: folder,
    env: ownEnvironment(),
  });
  if (status === 0) return { said: 'native kernel: built' };
  const output = `${stdout ?? ''}\n${stderr ?? ''}\n${error ?? ''}`;
  return failed(reasonIn(output), output);
}

/** The environment without the user's npm configuration of what the options say: node-gyp prefers that to options. */
function ownEnvironment() {
  const entries = Object.entries(process.env).filter(([name]) => !OPTION_OF_NODE_GYP.test(name));
  return Object.fromEntries(entries);
}

/** With `debug` the binary would lie in another folder. */
const OPTION_OF_NODE_GYP = /^npm_(config|package_config_node_gyp)_(nodedir|directory|debug)$/i;

/** What is missing, in the words of whoever missed it. */
function reasonIn(output) {
  if (/Could not find any Python/i.test(output)) return 'node-gyp needs Python 3, which was not found';
  if (/not found: make|make: not found|spawn make ENOENT/i.test(output)) return 'there is no make';
  if (NO_COMPILER.test(output)) return 'there is no C++ compiler';
  return output.match(/^.*\berror\b.*$/im)?.[0].trim() ?? 'the build failed';
}

/** As a shell says it, as make does, and as node-gyp's Python does where CXX names one. */
const NO_COMPILER =
  /(?:g|c|clang)\+\+\S*: (?:No such file|not found|command not found)|No such file or directory: '\S*(?:g|c|clang)\+\+/i;

const failed = (reason, output = '') => ({
  said: `native kernel not built: ${reason}. Models run without it, slower; 'npx onnx-groupnorm doctor' says more`,
  reason,
  output,
});

const { said, reason, output = '' } = install();
say(said);
if (reason) {
  mkdirSync(dirname(log), { recursive: true });
  writeFileSync(log, `${reason}\n\n${output}`);
} else {
  rmSync(log, { force: true });
}
