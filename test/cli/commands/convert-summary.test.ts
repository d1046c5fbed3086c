import { expect } from 'chai';
import { describe, it } from 'mocha';
import { describeConversion } from '../../../lib/cli/commands/convert.js';
import type { ConvertedModel } from '../../../lib/index.js';

const NONE = { groupNormalization: 0, exported: 0, inlined: 0, rows: 0 };

const lines = (
  changes: Partial<ConvertedModel>,
  data = { locations: [] as string[], copies: [] as object[] },
) =>
  describeConversion({
    path: 'in.onnx',
    output: 'out.onnx',
    converted: { bytes: new Uint8Array(12), replaced: NONE, lowerings: [], foreign: [], ...changes },
    data: data as Parameters<typeof describeConversion>[0]['data'],
  }).slice(1);

describe('what convert says', () => {
  it('is what was written', () => {
    const replaced = { ...NONE, exported: 1 };
    const converted = { bytes: new Uint8Array(12), replaced, lowerings: [], foreign: [] };
    const data = { locations: [], copies: [] };
    expect(describeConversion({ path: 'in.onnx', output: 'out.onnx', converted, data })[0]).to.equal(
      'Wrote out.onnx (12 bytes)',
    );
  });

  it('counts GroupNorm by the way in which it was written', () => {
    const replaced = { groupNormalization: 60, exported: 1, inlined: 2, rows: 0 };
    expect(lines({ replaced, lowerings: ['reduce-mean'] })).to.deep.equal([
      '63 GroupNorm written as reduce-mean: 60 GroupNormalization, 1 as PyTorch exports it below opset 21, 2 inlined',
    ]);
    expect(
      lines({ replaced: { ...NONE, inlined: 2 }, lowerings: ['instance-norm', 'reduce-mean'] }),
    ).to.deep.equal(['2 GroupNorm written as instance-norm and reduce-mean: 2 inlined']);
  });

  it('tells other normalizations from GroupNorm, and nothing from something', () => {
    expect(lines({ replaced: { ...NONE, rows: 2 } })).to.deep.equal([
      'No GroupNorm to rewrite',
      '2 other normalizations that ONNX Runtime gets wrong, written as reduce-mean',
    ]);
    expect(lines({})).to.deep.equal([]);
  });

  it('names the files of weights, and operators that not every runtime has', () => {
    expect(lines({}, { locations: ['a', 'b'], copies: [{}] })[0]).to.equal(
      'Its weights lie beside it: a, b (copied)',
    );
    expect(lines({ foreign: ['com.microsoft.FusedConv'] })[0]).to.include('com.microsoft.FusedConv');
  });
});
