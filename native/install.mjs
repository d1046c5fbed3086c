// Builds the addon when the package is installed. It says in one line what happened and never fails the install:
// without the addon everything works through onnxruntime-node. Needs no download: the headers of Node-API come
// with a package, and nodedir/ stands for the rest. `ONNX_GROUPNORM_ADDON=skip` leaves the addon out.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const log = join(folder, 'build', 'install.log');
const prebuilt = join(folder, 'prebuilt', `${process.platform}-${process.arch}`, 'onnx_groupnorm.node');

const say = (message) => console.log(`onnx-groupnorm: ${message}`);

/** What there is to say, and where it failed the whole output of the build. */
function install() {
  const { ONNX_GROUPNORM_ADDON } = process.env;
  if (ONNX_GROUPNORM_ADDON === 'skip') {
    return { said: 'native kernel left out, as asked', reason: 'ONNX_GROUPNORM_ADDON=skip was set' };
  }
  if (loads(prebuilt)) return { said: 'native kernel: prebuilt' };
  if (process.platform === 'win32') return failed('it has not been tried on Windows yet');
  const nodeGyp = process.env.npm_config_node_gyp || nodeGypOfNpm();
  if (!nodeGyp) return failed('there is no node-gyp, which comes with npm, and npm was not found');
  return build(nodeGyp);
}

/** The path of npm's node-gyp, for Yarn, which names none. Empty without npm, which as a rule comes with Node. */
function nodeGypOfNpm() {
  const { stdout } = spawnSync('npm', ['exec', '--call', 'node -p process.env.npm_config_node_gyp'], {
    encoding: 'utf8',
    cwd: folder,
  });
  return stdout?.trim();
}

/** Whether there is such a binary, and it is one for this machine: for its C library, too. */
function loads(binary) {
  try {
    createRequire(import.meta.url)(binary);
    return true;
  } catch {
    return false;
  }
}

function build(nodeGyp) {
  rmSync(join(folder, 'build', 'Release', 'onnx_groupnorm.node'), { force: true });
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
  said: `native kernel not built: ${reason}. Models run without it, slower; 'onnx-groupnorm doctor' says more`,
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
