import { expect } from 'chai';
import { describe, it } from 'mocha';
import { existsSync, readFileSync } from 'node:fs';
import { type Binary, readBinary } from '../../scripts/release/binary.js';
import { readSources } from '../../scripts/release/binding.js';
import { EXPORTS } from '../../scripts/release/compile.js';
import { faultsOf } from '../../scripts/release/gate.js';
import { binaryOf, nameOf, TARGETS, targetsNamed } from '../../scripts/release/targets.js';

const LINUX = targetsNamed(['linux-x64'])[0]!;

/** A binary that passes. */
const GOOD: Binary = {
  format: 'ELF',
  arch: 'x64',
  exports: [...EXPORTS],
  imports: [{ name: 'napi_create_object' }, { name: 'memcpy', from: 'GLIBC_2.14' }],
  libraries: ['libc.so.6', 'libm.so.6', 'ld-linux-x86-64.so.2'],
  protections: ['aslr', 'nx', 'relro', 'now', 'nodelete'],
};

describe('the gate of the prebuilt binaries', () => {
  it('the gate passes a binary that needs Node-API and an old C library only', () => {
    expect(faultsOf(GOOD, LINUX)).to.deep.equal([]);
  });

  const faults: Record<string, Partial<Binary>> = {
    'it exports napi_register_module_v1, node_api_module_get_api_version_v1, operator new': {
      exports: [...EXPORTS, 'operator new'],
    },
    'it needs the library libstdc++.so.6': { libraries: ['libstdc++.so.6'] },
    'it needs pthread_create from GLIBC_2.34': { imports: [{ name: 'pthread_create', from: 'GLIBC_2.34' }] },
    'it needs _ZN2v86Object from the process': { imports: [{ name: '_ZN2v86Object' }] },
    'it lacks the protection relro': { protections: GOOD.protections.filter((name) => name !== 'relro') },
    'it is ELF for arm64': { arch: 'arm64' },
  };
  for (const [fault, change] of Object.entries(faults)) {
    it(`the gate refuses a binary and says '${fault}'`, () => {
      expect(faultsOf({ ...GOOD, ...change }, LINUX)).to.deep.equal([fault]);
    });
  }

  it("the gate reads this Node's own file as the platform's format, with Node-API among its exports", function () {
    if (process.platform !== 'linux') this.skip();
    const { format, arch, exports, imports, libraries } = readBinary(readFileSync(process.execPath));
    expect([format, arch]).to.deep.equal(['ELF', process.arch]);
    expect(libraries).to.include('libc.so.6');
    expect(imports.find(({ name }) => name === 'memcpy')?.from).to.match(/^GLIBC_2\.\d+$/);
    // Debian's Node has its code in a library.
    if (!libraries.some((name) => name.startsWith('libnode')))
      expect(exports).to.include('napi_create_object');
  });

  it('the gate says that a file is not a binary', () => {
    expect(() => readBinary(Buffer.alloc(64))).to.throw('neither an ELF, a PE nor a Mach-O file');
  });

  for (const target of TARGETS) {
    it(`the prebuilt binary of ${nameOf(target)} passes the gate`, function () {
      if (!existsSync(binaryOf(target))) {
        console.log(`      not run: npm run build:prebuilt has not built ${nameOf(target)}`);
        this.skip();
      }
      expect(faultsOf(readBinary(readFileSync(binaryOf(target))), target)).to.deep.equal([]);
    });
  }
});

describe('the sources of the prebuilt binaries', () => {
  it('the sources have the flags of binding.gyp: only the files for AVX are compiled for it, on x64', () => {
    const flagsOf = (name: string, file: string) =>
      readSources(targetsNamed([name])[0]!).find(({ path }) => path === file)?.flags;
    expect(flagsOf('linux-x64', 'kernel/kernel_avx2.cc')).to.include.members(['-ffp-contract=off', '-mavx2']);
    expect(flagsOf('linux-x64', 'kernel/rows.cc')).to.deep.equal(['-ffp-contract=off']);
    expect(flagsOf('darwin-arm64', 'kernel/kernel_avx2.cc')).to.deep.equal([]);
    expect(flagsOf('win32-x64', 'addon/addon.cc')).to.include.members([
      '-DNAPI_VERSION=8',
      '-DNAPI_CPP_EXCEPTIONS',
    ]);
  });
});
