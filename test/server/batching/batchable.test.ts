import { expect } from 'chai';
import { describe, it } from 'mocha';
import { whyNotBatchable } from '../../../lib/server/batching/batchable.js';
import { info } from '../../support/tensor-info.js';

describe('whyNotBatchable', () => {
  const outputs = [info('y', ['N', 2])];

  it('whyNotBatchable has nothing against a model whose first dimensions are all open, with a name or without', () => {
    const inputs = [info('x', ['N', 3]), info('mask', ['', '']), { ...info('w', [3]), optional: true }];
    expect(whyNotBatchable({ inputs, outputs: [...outputs, info('z', ['M'])] })).to.equal(undefined);
  });

  it('whyNotBatchable names the input or output whose first dimension is not the samples', () => {
    for (const [input, reason] of [
      [info('x', [1, 3]), "input 'x' has the shape [1, 3], whose first size is fixed"],
      [info('x', []), "input 'x' is a scalar"],
      [
        info('x', undefined),
        "input 'x' has no declared shape, so its first dimension may not be the samples",
      ],
      [info('x', ['N', 4, 'N']), "input 'x' has the shape [N, 4, N], with the first dimension twice"],
      [{ ...info('x', ['N']), dtype: undefined }, "input 'x' is not a tensor"],
    ] as const)
      expect(whyNotBatchable({ inputs: [input], outputs })).to.equal(reason);
    const fixed = { inputs: [info('x', ['N'])], outputs: [...outputs, info('z', [4])] };
    expect(whyNotBatchable(fixed)).to.equal("output 'z' has the shape [4], whose first size is fixed");
    expect(whyNotBatchable({ inputs: [], outputs })).to.equal('the model has no input with samples');
  });
});
