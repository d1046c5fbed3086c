import { expect } from 'chai';
import { describe, it } from 'mocha';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import pico from 'picocolors';
import {
  describeDiagnosis,
  type Diagnosis,
  isSupported,
  selfTestProvider,
  works,
} from '../../../lib/cli/commands/doctor.js';
import { PROVIDERS } from '../../../lib/index.js';
import { describeProblems } from '../../../lib/runtime/core/providers.js';
import { loadAddon, whyNotBuilt } from '../../../lib/runtime/native/addon.js';
import { NATIVE_REASON } from '../../support/native.js';
import { temporaryFolder } from '../../support/temporary.js';
import { onnx } from '../support.js';

describe('doctor', () => {
  it('doctor exits 0 if the cpu provider works, and lists what is installed', async () => {
    const { code, stdout, stderr } = await onnx('doctor');
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.match(/^onnx-groupnorm +\d+\.\d+\.\d+$/m);
    expect(stdout).to.match(new RegExp(`^Node +${process.versions.node} +supported$`, 'm'));
    expect(stdout).to.match(new RegExp(`^platform +${process.platform} ${process.arch}$`, 'm'));
    for (const name of ['node', 'web', 'common']) {
      expect(stdout).to.match(new RegExp(`^onnxruntime-${name} +\\d+\\.\\d+\\.\\d+$`, 'm'));
    }
    expect(stdout).to.match(/^native binding +loads$/m);
    for (const name of ['cpu', 'wasm']) {
      expect(stdout).to.match(
        new RegExp(`^ {2}${name} +usable: it ran a GroupNormalization, and the result is right$`, 'm'),
      );
    }
  });

  it('doctor --json prints the findings as JSON, and nothing else on stdout', async () => {
    const { code, stdout } = await onnx('doctor', '--json');
    const diagnosis = JSON.parse(stdout) as Diagnosis;
    expect(code).to.equal(0);
    expect(diagnosis.node.supported).to.be.true;
    expect(diagnosis.providers).to.deep.include({ name: 'cpu', usable: true });
    expect(diagnosis.providers.map(({ name }) => name)).to.deep.equal(PROVIDERS);
    for (const { name, usable, problems } of diagnosis.providers) {
      expect(usable || problems?.[0]?.reason, name).to.be.ok;
    }
    const { instructionSet, path, origin, sha256, reason } = diagnosis.nativeKernel;
    if (reason === undefined) {
      expect(instructionSet).to.match(/^(avx512|avx2|neon|portable)$/);
      expect(origin).to.be.oneOf(['prebuilt', 'local build', 'ONNX_GROUPNORM_ADDON']);
      const binary = readFileSync(path!);
      expect(sha256).to.equal(createHash('sha256').update(binary).digest('hex'));
    } else expect(reason).to.equal(NATIVE_REASON);
  });

  it('doctor compares versions of Node as numbers, not as text', () => {
    expect(['20.19.0', '20.20.2', '21.0.0', '100.0.0'].every((version) => isSupported('>=20.19', version))).to.be.true; // prettier-ignore
    expect(['20.18.9', '20.2.0', '18.20.0', '9.99.0'].some((version) => isSupported('>=20.19', version))).to.be.false; // prettier-ignore
  });

  it('doctor says which binary of the kernel is used, how it came about, and its checksum', async function () {
    if (NATIVE_REASON !== undefined) this.skip();
    const { stdout } = await onnx('doctor');
    const { path, origin } = loadAddon().binary!;
    expect(stdout).to.match(
      /^native kernel +(avx512|avx2|neon|portable) +\/.*onnx_groupnorm\.node\n +\S.* +SHA-256 [0-9a-f]{64}$/m,
    );
    expect(stdout).to.include(path).and.to.include(origin);
  });

  describe('doctor in a broken installation', () => {
    const at = temporaryFolder();
    const broken: Diagnosis = {
      version: '0.1.0',
      node: { version: '18.0.0', required: '>=20.19', supported: false, runtime: 'Bun 1.0.0' },
      platform: 'linux',
      arch: 'x64',
      packages: [{ name: 'onnxruntime-node', version: undefined }],
      nativeBinding: { error: 'libonnxruntime.so.1: cannot open', backends: [] },
      nativeKernel: { reason: 'no compiler' },
      providers: [
        { name: 'cpu', usable: false, problems: [{ reason: 'it does not load' }] },
        {
          name: 'cuda',
          usable: false,
          problems: [{ reason: 'no driver', remedy: 'install it' }, { reason: 'no library' }],
        },
      ],
    };

    it('doctor and PROVIDER_UNAVAILABLE name both commands that build the kernel after npm 12 has blocked the install script', async function () {
      if (process.platform === 'win32') this.skip();
      const native = at('node_modules/onnx-groupnorm/native');
      await mkdir(native, { recursive: true });
      await writeFile(at('node_modules/.package-lock.json'), '{}');
      const problem = whyNotBuilt(native);
      const diagnosis: Diagnosis = {
        ...broken,
        nativeKernel: problem,
        providers: [{ name: 'native', usable: false, problems: [problem] }],
      };
      const printed = describeDiagnosis(diagnosis, pico.createColors(false)).join('\n');
      for (const text of [printed, JSON.stringify(diagnosis), describeProblems([problem])]) {
        expect(text)
          .to.include('did not run the install script of onnx-groupnorm')
          .and.include('npm install-scripts approve onnx-groupnorm')
          .and.include('npm rebuild onnx-groupnorm');
      }
    });

    it('doctor fails if the cpu provider does not work', () => {
      expect(works(broken)).to.be.false;
      expect(works({ ...broken, providers: [{ name: 'cuda', usable: true }] })).to.be.false;
      expect(works({ ...broken, providers: [{ name: 'cpu', usable: true }] })).to.be.true;
    });

    it('doctor shows what a usable provider lacks for some models, and what to do', () => {
      const limits = [{ reason: 'no cuDNN', remedy: 'install it' }];
      const limited = { ...broken, providers: [{ name: 'cuda', usable: true, limits }] };
      const text = describeDiagnosis(limited, pico.createColors(false)).join('\n');
      expect(text).to.match(/^ +cuda +usable: it ran .* is right\n +no cuDNN\n +→ install it$/m);
    });

    it('doctor names every fault, and what to do', () => {
      const text = describeDiagnosis(broken, pico.createColors(false)).join('\n');
      expect(text).to.match(/^runtime +Bun 1\.0\.0$/m);
      expect(text).to.match(/^Node +18\.0\.0 +needs >=20\.19$/m);
      expect(text).to.match(/^onnxruntime-node +– +not installed: npm install$/m);
      expect(text).to.match(/^native binding +does not load$/m);
      expect(text).to.match(/^ +libonnxruntime\.so\.1: cannot open$/m);
      expect(text).to.match(/^ +cpu +not usable\n +it does not load$/m);
      expect(text).to.match(/^native kernel +not installed\n +libonnx.*\n +no compiler$/m);
      expect(text).to.match(/^ +cuda +not usable\n +no driver\n +→ install it\n +no library$/m);
    });
  });
});

describe('selfTestProvider', () => {
  it('selfTestProvider finds no problem with cpu and wasm', async () => {
    expect(await selfTestProvider('cpu')).to.deep.equal([]);
    expect(await selfTestProvider('wasm')).to.deep.equal([]);
  });

  it('selfTestProvider returns the reason why a provider does not work, and does not throw', async () => {
    const absent = process.platform === 'win32' ? 'coreml' : 'dml';
    const [problem] = await selfTestProvider(absent);
    expect(problem!.reason).to.match(new RegExp(`^onnxruntime-node has no ${absent} for `));
  });
});
