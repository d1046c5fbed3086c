import { expect } from 'chai';
import { describe, it } from 'mocha';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type AddonBinary,
  type AddonState,
  binariesIn,
  firstToLoad,
} from '../../../lib/runtime/native/addon.js';
import { muslProblem } from '../../../lib/runtime/ort-node/load.js';
import { temporaryFolder } from '../../support/temporary.js';

describe('the binaries of the addon', () => {
  const path = temporaryFolder();
  const LOCAL = 'build/Release/onnx_groupnorm.node';
  const PREBUILT = `prebuilt/${process.platform}-${process.arch}/onnx_groupnorm.node`;

  async function lay(...files: string[]): Promise<void> {
    for (const file of files) {
      await mkdir(dirname(path(file)), { recursive: true });
      await writeFile(path(file), '');
    }
  }

  it('a local build comes before the prebuilt binary, which stands in for a build that does not load', async () => {
    await lay(LOCAL, PREBUILT);
    expect(binariesIn(path())).to.deep.equal([
      { path: path(LOCAL), origin: 'local build' },
      { path: path(PREBUILT), origin: 'prebuilt' },
    ]);
  });

  it('the loader stops at the first binary that loads, and reports the first problem where no binary loads', async () => {
    await lay(LOCAL, PREBUILT);
    const tried: string[] = [];
    const load =
      (loads: string) =>
      (binary: AddonBinary): AddonState => {
        tried.push(binary.origin);
        const addon = {} as Required<AddonState>['addon'];
        return binary.origin === loads ? { addon, binary } : { problem: { reason: binary.origin } };
      };
    expect(firstToLoad(binariesIn(path()), load('local build'))!.binary!.origin).to.equal('local build');
    expect(tried).to.deep.equal(['local build']);
    expect(firstToLoad(binariesIn(path()), load('prebuilt'))!.binary!.origin).to.equal('prebuilt');
    expect(firstToLoad(binariesIn(path()), load('none'))!.problem!.reason).to.equal('local build');
  });

  it('the prebuilt binary is found where no install script ran', async () => {
    await lay(PREBUILT, 'prebuilt/plan9-mips/onnx_groupnorm.node');
    expect(binariesIn(path())).to.deep.equal([{ path: path(PREBUILT), origin: 'prebuilt' }]);
  });

  it('the prebuilt binary is left alone where the install script found that it does not work', async () => {
    await lay(PREBUILT, 'build/install.log');
    expect(binariesIn(path())).to.deep.equal([]);
    await rm(path('build/install.log'));
    expect(binariesIn(path())).to.have.length(1);
  });
});

describe('onnxruntime-node on musl', () => {
  it('the problem of Alpine Linux names musl, and wasm as the way out', () => {
    const mapped =
      '7f1 r-xp 00000000 08:01 12  /lib/ld-musl-x86_64.so.1\n7f2 r--p 00000000 08:01 13  /usr/bin/node\n';
    const { reason, remedy } = muslProblem(mapped)!;
    expect(reason).to.include('musl, the C library of Alpine Linux');
    expect(remedy).to.include("providers: ['wasm']");
  });

  it('a process on glibc has no problem with musl', () => {
    expect(muslProblem('7f1 r-xp 00000000 08:01 12  /usr/lib/x86_64-linux-gnu/libc.so.6\n')).to.be.undefined;
    expect(muslProblem('')).to.be.undefined;
  });
});
