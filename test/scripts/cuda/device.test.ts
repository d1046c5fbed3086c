import { expect } from 'chai';
import { describe, it } from 'mocha';
import { mkdirSync } from 'node:fs';
import { describeDevice, nvidiaPackages, parseGpu, slug } from '../../../scripts/cuda/device.js';
import { temporaryFolder } from '../../support/temporary.js';

describe('scripts/cuda/device', () => {
  const at = temporaryFolder();

  it('the device is the first GPU of nvidia-smi', () => {
    expect(parseGpu('NVIDIA H100 80GB HBM3, 580.65.06, 81559 MiB, 9.0\nother, 1, 2, 3\n')).to.deep.equal({
      name: 'NVIDIA H100 80GB HBM3',
      driver: '580.65.06',
      memory: '81559 MiB',
      'compute capability': '9.0',
    });
    expect(parseGpu('NVIDIA T4').driver).to.equal('unknown');
  });

  it('the name of the device becomes part of a file name', () => {
    expect(slug('NVIDIA H100 80GB HBM3')).to.equal('nvidia-h100-80gb-hbm3');
    expect(slug('AMD EPYC™ (Rome)')).to.equal('amd-epyc-rome');
  });

  it('the device is the processor for a provider without a GPU', () => {
    const { name, details, packages } = describeDevice('cpu');
    expect(name).to.have.length.above(1);
    expect(details).to.deep.equal({});
    expect(packages['onnxruntime-node']).to.match(/^\d+\.\d+\.\d+$/);
  });

  it('an unknown GPU does not get the name of the processor', () => {
    expect(slug(describeDevice('webgpu').name)).to.match(/^unknown-gpu-processor-/);
  });

  it("the versions of NVIDIA's libraries come from their packages", () => {
    const lib = at('site-packages/nvidia/cudnn/lib');
    for (const folder of [lib, at('site-packages/nvidia_cudnn_cu13-9.14.0.64.dist-info'), at('site-packages/numpy-2.0.dist-info')]) mkdirSync(folder, { recursive: true }); // prettier-ignore
    expect(nvidiaPackages([`${lib}/libcudnn.so.9`, '/usr/lib/libcuda.so.1'])).to.deep.equal({
      'nvidia-cudnn-cu13': '9.14.0.64',
    });
  });
});
