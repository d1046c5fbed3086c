/** Compiles and links the addon for one platform with zig. The same sources give the same bytes. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { readSources } from './binding.js';
import { onAllCores } from './cores.js';
import { binaryOf, nameOf, ROOT, type Target } from './targets.js';

/** What the binary exports: Node-API's entry and its version. */
export const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'] as const;

/** As native/nodedir has it for node-gyp. BUILDING_NODE_EXTENSION is a define of node-gyp's own. */
const FLAGS = ['-std=c++17', '-O3', '-fvisibility=hidden', '-DBUILDING_NODE_EXTENSION'];

interface Workshop {
  /** The folder of zig. */
  readonly zig: string;
  /** Where object files go. */
  readonly objects: string;
  /** zig's caches. */
  readonly cache: string;
}

/** Runs a program in native/, and returns what it printed to stderr. Its message stands in the error. */
type Run = (program: string, args: readonly string[], more?: NodeJS.ProcessEnv) => Promise<string>;

/** Compiles and links the binary of a target, and returns its path, which is among the object files. */
export async function compile(target: Target, { zig, objects: folder, cache }: Workshop): Promise<string> {
  const objects = join(folder, nameOf(target));
  mkdirSync(objects, { recursive: true });
  const run: Run = async (program, args, more = {}) => {
    const env = {
      ...process.env,
      ZIG_GLOBAL_CACHE_DIR: cache,
      ZIG_LOCAL_CACHE_DIR: cache,
      // The date that the linker writes into a Windows binary.
      SOURCE_DATE_EPOCH: '315532800',
      ...more,
    };
    const options = { cwd: join(ROOT, 'native'), env, maxBuffer: 2 ** 26 };
    return (await promisify(execFile)(program, args, options)).stderr;
  };
  const compiler = join(zig, 'zig');
  const flags = [...FLAGS, ...(target.platform === 'win32' ? [] : ['-fPIC'])];
  const files = await onAllCores(readSources(target), async (source) => {
    const object = join(objects, `${basename(source.path)}.o`);
    await run(compiler, [
      ...['c++', '-target', target.zig, ...flags, ...source.flags],
      ...['-c', source.path, '-o', object],
    ]);
    return object;
  });
  const linked = join(objects, 'onnx_groupnorm.node');
  const link = (...args: string[]): Promise<string> =>
    run(compiler, ['c++', '-target', target.zig, '-O3', '-shared', '-s', ...files, ...args, '-o', linked], {
      ZIG_VERBOSE_LINK: '1',
    });
  switch (target.platform) {
    case 'linux': {
      const exported = join(objects, 'exports.map');
      writeFileSync(exported, `{ global: ${EXPORTS.join('; ')}; local: *; };\n`);
      // nodelete: Node unloads an addon when the last worker that has loaded it ends, whose thread may have state of it.
      await link('-Wl,-z,relro,-z,now,-z,nodelete', `-Wl,--version-script=${exported}`);
      break;
    }
    case 'win32': {
      const host = join(objects, 'host.c');
      writeFileSync(host, hostFunctions(files));
      await run(compiler, [
        'cc',
        '-target',
        target.zig,
        '-O3',
        '-Wall',
        '-Werror',
        '-c',
        host,
        '-o',
        `${host}.o`,
      ]);
      await link(`${host}.o`);
      break;
    }
    case 'darwin':
      await linkForMac({
        ...{ zig, files, linked, run },
        libraries: archivesIn(await link('-undefined', 'dynamic_lookup')),
      });
  }
  return linked;
}

/** Puts a binary that is linked into native/prebuilt. */
export function place(target: Target, linked: string): void {
  mkdirSync(join(binaryOf(target), '..'), { recursive: true });
  // Not in place: a process may have the binary of before in its memory.
  copyFileSync(linked, `${binaryOf(target)}.new`);
  renameSync(`${binaryOf(target)}.new`, binaryOf(target));
}

/**
 * Returns C code that fills the import slots of Node-API's functions from the program of the process. An import library
 * would name node.exe, and a renamed program or Electron is not named so. If the program lacks a function, the addon
 * does not load.
 */
function hostFunctions(objects: readonly string[]): string {
  const references = objects.flatMap((file) =>
    Array.from(readFileSync(file, 'latin1').matchAll(/__imp_((?:napi|node_api)_\w+)/g), ([, name]) => name!),
  );
  const names = [...new Set(references)].sort();
  return `#include <windows.h>

${names.map((name) => `void* __imp_${name};`).join('\n')}

static const struct { const char* name; void** slot; } functions[] = {
${names.map((name) => `  {"${name}", &__imp_${name}},`).join('\n')}
};

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, LPVOID reserved) {
  (void)self, (void)reserved;
  if (reason != DLL_PROCESS_ATTACH) return TRUE;
  const HMODULE host = GetModuleHandleW(NULL);
  for (unsigned i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    *functions[i].slot = (void*)GetProcAddress(host, functions[i].name);
    if (!*functions[i].slot) return FALSE;
  }
  return TRUE;
}
`;
}

/** Returns the libraries of a link command that zig prints: its libc++ and run-time library, which it has built. */
const archivesIn = (printed: string): string[] => printed.split(/\s+/).filter((word) => word.endsWith('.a'));

interface MacLink {
  readonly zig: string;
  readonly files: readonly string[];
  readonly linked: string;
  readonly libraries: readonly string[];
  readonly run: Run;
}

/**
 * Links with LLVM's linker: zig's own (0.17.1) does not align the section of thread-local variables, and exports every
 * symbol of libc++.
 */
async function linkForMac({ zig, files, linked, libraries, run }: MacLink): Promise<void> {
  // LLVM 19 does not know zig's newest architectures.
  const system = `${linked}.libSystem.tbd`;
  const stubs = readFileSync(join(zig, 'lib/libc/darwin/libSystem.tbd'), 'utf8');
  writeFileSync(system, stubs.replace(/,\s*arm64e\.x1-\w+/g, ''));
  const linker = process.env['LD64'] ?? 'ld64.lld-19';
  try {
    await run(linker, ['--version']);
  } catch {
    throw new Error(`${linker} is not installed; it comes with Debian's lld-19, and LD64 names another`);
  }
  await run(linker, [
    ...[
      '-arch',
      'arm64',
      '-platform_version',
      'macos',
      '11.0',
      '11.0',
      '-bundle',
      '-undefined',
      'dynamic_lookup',
    ],
    ...EXPORTS.flatMap((name) => ['-exported_symbol', `_${name}`]),
    ...['-adhoc_codesign', '-dead_strip', '-S', '-x'],
    ...[...files, ...libraries, system, '-o', linked],
  ]);
}
