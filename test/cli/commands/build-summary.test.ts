import { expect } from 'chai';
import { describe, it } from 'mocha';
import { describeBuild, type Written } from '../../../lib/cli/commands/build.js';
import { getGraph, type InputType } from '../../../lib/index.js';

const OPTIONS = { output: 'gn.onnx', opset: 17, dtype: 'float32', seed: 3 } as const;

function summary(input: InputType = {}, written: Partial<Written> = {}, options: object = {}): string {
  const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 }, input);
  const all: Written = { bytes: 1234, external: false, ...written };
  return describeBuild(graph, { ...OPTIONS, ...options }, 'layer-norm', all).join('\n');
}

describe('cli/build-summary', () => {
  it('says what was written, and of what', () => {
    expect(summary())
      .to.match(/^Wrote gn\.onnx \(1\.23 kB\)\n\n/)
      .and.include('opset       17, IR version 8\n')
      .and.include('parameters  2 tensors, 8 elements\n')
      .and.include("weights     PyTorch's default initialisation, seed 3\n")
      .and.include('input       x  float32 [N, 4, H, W]\n');
    expect(summary({}, {}, { weights: 'w.safetensors' })).to.include('weights     w.safetensors\n');
  });

  it('names a size for every dimension that has none: one sample, 64 of the others', () => {
    expect(summary()).to.match(/onnx-groupnorm run gn\.onnx --input x=random --dim N=1,H=64,W=64$/);
    expect(summary({ shape: ['L', 4, 'L'] })).to.match(/ --dim L=64$/);
    expect(summary({ shape: [1, 4, 8] })).to.match(/ --input x=random$/);
  });

  it('quotes a path that a shell would take apart', () => {
    expect(summary({}, {}, { output: "my model's.onnx" })).to.include("run 'my model'\\''s.onnx' --input");
  });

  it('says what lies beside the model, or why nothing does', () => {
    expect(summary({}, { external: true })).to.match(/^Wrote gn\.onnx and gn\.onnx\.data \(/);
    expect(summary({}, {}, { externalData: true })).to.include(
      'No file beside it: its weights are too small',
    );
    expect(summary({}, { stale: true })).to.include('gn.onnx.data is still there, from an older model');
    expect(summary()).to.not.include('.data');
  });
});
