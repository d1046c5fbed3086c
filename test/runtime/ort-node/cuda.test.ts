import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { describeMissing, missingForCuda, oldDriver } from '../../../lib/runtime/ort-node/cuda.js';
import { library } from '../../support/provider-library.js';

/** Of the provider library of ONNX Runtime 1.29, and libcudnn, which later versions do not link to. */
const GLIBC = `
	linux-vdso.so.1 (0x00007ffd)
	libcublasLt.so.13 => not found
	libcublas.so.13 => not found
	libcurand.so.10 => not found
	libcudnn.so.9 => not found
	libcudart.so.13 => /usr/local/cuda/lib64/libcudart.so.13 (0x00007f)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
`;

describe('runtime/ort-node/cuda', () => {
  it('describeMissing names each missing product once, in the order of installing', () => {
    expect(describeMissing(GLIBC).map(({ reason }) => reason)).to.deep.equal([
      'the libraries of CUDA 13 are not found',
      'the libraries of cuDNN 9 are not found',
    ]);
    for (const { remedy } of describeMissing(GLIBC)) expect(remedy).to.match(/^install (CUDA 13|cuDNN 9) /);
  });

  it("describeMissing understands musl's loader, and names unknown libraries", () => {
    const report =
      'Error loading shared library libnvinfer.so.10: No such file or directory (needed by x)\n' +
      'Error loading shared library libmystery.so.2: No such file or directory (needed by x)\n';
    expect(describeMissing(report).map(({ reason }) => reason)).to.deep.equal([
      'the libraries of TensorRT 10 are not found',
      'not found: libmystery.so.2',
    ]);
  });

  it('describeMissing takes the version of CUDA from the libraries that bear it, and not from libcurand', () => {
    const rest = 'libcurand.so.10 => not found\n\tlibcudart.so.13 => /usr/lib/libcudart.so.13 (0x7f)\n';
    expect(describeMissing(`\t${rest}`).map(({ reason }) => reason)).to.deep.equal([
      'the libraries of CUDA 13 are not found',
    ]);
  });

  it('describeMissing reports libcuda as part of the driver', () => {
    const [problem] = describeMissing('\tlibcuda.so.1 => not found\n');
    expect(problem!.reason).to.equal("the driver's library libcuda.so.1 is not found");
    expect(problem!.remedy).to.include('nvidia-smi');
  });

  describe('with a driver', () => {
    const of = (text: string, cuda = 13) => oldDriver(`\tlibcudart.so.${cuda} => not found\n`, text);
    const kernelModule = (version: string) =>
      `NVRM version: NVIDIA UNIX x86_64 Kernel Module  ${version}  date`;

    it('oldDriver refuses a driver that is older than CUDA needs', () => {
      expect(of(kernelModule('535.129.03'))[0]!.reason).to.equal(
        'the NVIDIA driver is 535.129.03, and CUDA 13 takes 580 or later',
      );
      expect(
        of('NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release'),
      ).to.have.length(1);
      expect(of(kernelModule('580.65.06'))).to.deep.equal([]);
      expect(of(kernelModule('535.129.03'), 12)).to.deep.equal([]);
    });

    it('oldDriver accepts a driver or a CUDA of unknown version', () => {
      expect(of('')).to.deep.equal([]);
      expect(of(kernelModule('1.0'), 99)).to.deep.equal([]);
    });
  });

  it("describeMissing does not report ONNX Runtime's own library", () => {
    expect(describeMissing('libonnxruntime.so.1 => not found\n')).to.deep.equal([]);
    expect(describeMissing('')).to.deep.equal([]);
  });

  describe('in a folder of libraries', () => {
    let folder: string;
    beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'cuda-'))));
    afterEach(() => rm(folder, { recursive: true }));
    const reasons = async (provider: 'cuda' | 'tensorrt', sign: string) =>
      (await missingForCuda(provider, { folder, version: '1.30.0' }, [sign])).map(({ reason }) => reason);

    it('missingForCuda reports the driver, then the library of the provider, each with a remedy', async () => {
      const problems = await missingForCuda('cuda', { folder, version: '1.30.0' }, [
        join(folder, 'no-driver'),
      ]);
      expect(problems.map(({ reason }) => reason)).to.deep.equal([
        `there is no NVIDIA driver: no ${join(folder, 'no-driver')}`,
        `libonnxruntime_providers_shared.so and libonnxruntime_providers_cuda.so not in ${folder}`,
      ]);
      expect(problems[0]!.remedy).to.include('nvidia-smi');
      expect(problems[1]!.remedy).to.include('ONNXRUNTIME_NODE_INSTALL=true node ');
    });

    it('missingForCuda reports missing libraries only', async () => {
      await writeFile(join(folder, 'libonnxruntime_providers_shared.so'), library());
      expect(await reasons('tensorrt', folder)).to.deep.equal([
        `libonnxruntime_providers_tensorrt.so not in ${folder}`,
      ]);
      await writeFile(join(folder, 'libonnxruntime_providers_tensorrt.so'), library('\x001.30.0\0'));
      expect(await reasons('tensorrt', folder)).to.deep.equal([]);
    });

    it('missingForCuda reports a library of another version', async () => {
      await writeFile(join(folder, 'libonnxruntime_providers_shared.so'), library());
      await writeFile(join(folder, 'libonnxruntime_providers_cuda.so'), library('\x001.29.0\0'));
      expect(await reasons('cuda', folder)).to.deep.equal([
        'libonnxruntime_providers_cuda.so is of ONNX Runtime 1.29.0, and onnxruntime-node of 1.30.0',
      ]);
    });
  });
});
