import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  addDims,
  ceilPoolDim,
  convDim,
  convTransposeDim,
  divideDim,
  evaluateDim,
  maxDim,
  productDim,
  resizeDim,
  scaleDim,
  sliceDim,
  type DimWindow,
} from '../../lib/shapes/dims.js';
import { type Dim, UNKNOWN_DIM } from '../../lib/tensor.js';
import { evaluate } from '../graph/support.js';

const window = (kernel: number, stride = 1, pad = 0, dilation = 1): DimWindow => ({
  kernel,
  stride,
  dilation,
  padBegin: pad,
  padEnd: pad,
});

const name = fc.constantFrom('H', 'W', 'N');
const sizes = fc.record({ H: fc.nat(60), W: fc.nat(60), N: fc.nat(60) });

/** Expressions as networks make them: sums, multiples, products, quotients and bounds of one another. */
const { dim } = fc.letrec<{ dim: Dim }>((tie) => ({
  dim: fc.oneof(
    { maxDepth: 3 },
    name,
    fc.integer({ min: -9, max: 9 }),
    fc.tuple(tie('dim'), tie('dim')).map(([a, b]) => addDims(a, b)),
    fc.tuple(tie('dim'), tie('dim')).map((pair) => productDim(pair)),
    fc.tuple(tie('dim'), tie('dim')).map(([a, b]) => maxDim(a, b)),
    fc.tuple(tie('dim'), fc.integer({ min: 1, max: 6 })).map(([a, n]) => divideDim(a, n)),
  ),
}));

/** Sums and products of names. */
const { polynomial } = fc.letrec<{ polynomial: Dim }>((tie) => ({
  polynomial: fc.oneof(
    { maxDepth: 3 },
    name,
    fc.integer({ min: -9, max: 9 }),
    fc.tuple(tie('polynomial'), tie('polynomial')).map(([a, b]) => addDims(a, b)),
    fc.tuple(tie('polynomial'), tie('polynomial')).map((pair) => productDim(pair)),
  ),
}));

/** Compares expressions. A step on the way to one of them may be too long to be computed with, which makes it unknown. */
function expectSame(a: Dim, b: Dim): void {
  if (a !== UNKNOWN_DIM && b !== UNKNOWN_DIM) expect(a).to.equal(b);
}

describe('dimension expressions', () => {
  it('evaluateDim gives the number that JavaScript gives, for every expression, and NaN without the size of a name', () => {
    fc.assert(
      fc.property(dim, sizes, (expression, own) => {
        const known = new Map(Object.entries(own));
        if (expression === '?') expect(evaluateDim(expression, known)).to.be.NaN;
        else expect(evaluateDim(expression, known)).to.equal(evaluate(expression, own));
      }),
    );
    expect(evaluateDim('floor((H-1)/2)+W', new Map([['H', 5]]))).to.be.NaN;
    expect(evaluateDim(resizeDim('H', 1.7), new Map([['H', 10]]))).to.equal(17);
    expect(evaluateDim('batch-size', new Map([['batch-size', 3]]))).to.equal(3);
  });

  it('productDim and addDims return an unknown dimension for a size above 2^53', () => {
    expect(productDim([2 ** 30, 2 ** 30])).to.equal('?');
    expect(productDim(['H', 2 ** 30, 2 ** 30])).to.equal('?');
    expect(addDims(2 ** 52, 2 ** 52)).to.equal('?');
  });

  it('a dimension expression leaves a name alone if it does not change', () => {
    expect(convDim('H', window(3, 1, 1))).to.equal('H');
    expect(convDim('H', window(1))).to.equal('H');
    expect(convDim('H', window(3, 1, 2, 2))).to.equal('H');
    expect(scaleDim('H', 1)).to.equal('H');
    expect(addDims('H', 0)).to.equal('H');
    expect(divideDim('H', 1)).to.equal('H');
    expect(resizeDim('H', 1)).to.equal('H');
    expect(sliceDim('H', 0, 2 ** 31 - 1)).to.equal('H');
    expect(productDim([1, 'H', 1])).to.equal('H');
  });

  it('a dimension expression reads as a person would write it', () => {
    expect(convDim('H', window(3))).to.equal('H-2');
    expect(convDim('H', window(3, 2, 1))).to.equal('floor((H-1)/2)+1');
    expect(convDim('H', window(2, 2))).to.equal('floor(H/2)');
    expect(ceilPoolDim('H', window(2, 2))).to.equal('floor((H-1)/2)+1');
    expect(convTransposeDim('H', window(2, 2), 0)).to.equal('2*H');
    expect(convTransposeDim('H', window(3, 2, 1), 1)).to.equal('2*H');
    expect(resizeDim('H', 2)).to.equal('2*H');
    expect(resizeDim('H', 0.5)).to.equal('floor(H/2)');
    expect(resizeDim('H', 0.7)).to.equal('floor(0.7*H)');
    expect(resizeDim('H-1', 0.7)).to.equal('floor(0.7*(H-1))');
    expect(addDims('A', 'B')).to.equal('A+B');
    expect(productDim([64, 'H', 'W'])).to.equal('64*H*W');
    expect(sliceDim('H', 1, -1)).to.equal('max(H-2,0)');
    expect(sliceDim('H', 0, 5)).to.equal('min(H,5)');
    expect(sliceDim('H', -5, 2 ** 31 - 1)).to.equal('min(H,5)');
    expect(maxDim('N', 'M')).to.equal('max(M,N)');
  });

  it('a dimension expression joins two floors into one', () => {
    const stem = convDim(convDim('H', window(7, 2, 3)), window(3, 2, 1));
    expect(stem).to.equal('floor((H-1)/4)+1');
    expect(divideDim(divideDim('H', 2), 3)).to.equal('floor(H/6)');
  });

  it('a dimension expression does not join floors under a factor', () => {
    const product = productDim([divideDim('A', 2), divideDim('B', 3)]);
    expect(divideDim(product, 5)).to.equal('floor(floor(A/2)*floor(B/3)/5)');
  });

  it('a dimension expression has no floor of an exact division', () => {
    expect(divideDim(scaleDim('H', 6), 3)).to.equal('2*H');
    expect(divideDim(addDims(scaleDim('H', 4), 6), 2)).to.equal('2*H+3');
    expect(convDim(resizeDim('H', 2), window(2, 2))).to.equal('H');
  });

  it('a dimension expression is a number if all names cancel out', () => {
    expect(addDims('H', 3, scaleDim('H', -1))).to.equal(3);
    expect(productDim(['H', 0])).to.equal(0);
    expect(sliceDim('H', 3, 3)).to.equal(0);
    expect(sliceDim('H', -3, -3)).to.equal(0);
  });

  it('a dimension expression is the same string in any order of its terms', () => {
    expect(addDims('A', 'B')).to.equal(addDims('B', 'A'));
    expect(productDim(['W', 3, 'H'])).to.equal(productDim(['H', 'W', 3]));
    expect(maxDim('A', 'B')).to.equal(maxDim('B', 'A'));
    fc.assert(
      fc.property(dim, dim, dim, (a, b, c) => {
        expectSame(addDims(a, addDims(b, c)), addDims(addDims(c, a), b));
        expectSame(productDim([a, productDim([b, c])]), productDim([productDim([c, a]), b]));
        expectSame(productDim([a, addDims(b, c)]), addDims(productDim([a, b]), productDim([a, c])));
        expect(addDims(a, scaleDim(a, -1))).to.equal(0);
      }),
    );
  });

  it('a dimension expression is the same string for any order of divisions', () => {
    const divisor = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(polynomial, divisor, divisor, fc.integer({ min: -20, max: 20 }), (a, m, n, k) => {
        expect(divideDim(scaleDim(a, m * n), n)).to.equal(scaleDim(a, m));
        expect(divideDim(scaleDim(a, m), m * n)).to.equal(divideDim(a, n));
        expect(divideDim(addDims(a, k * n), n)).to.equal(addDims(divideDim(a, n), k));
        expect(divideDim(addDims(divideDim(a, m), k), n)).to.equal(divideDim(addDims(a, k * m), m * n));
      }),
      { numRuns: 500 },
    );
  });

  it('a dimension expression evaluates to what arithmetic gives', () => {
    fc.assert(
      fc.property(dim, dim, fc.integer({ min: 1, max: 9 }), sizes, (a, b, n, at) => {
        const [x, y] = [evaluate(a, at), evaluate(b, at)];
        fc.pre(Math.abs(x) < 1e6 && Math.abs(y) < 1e6);
        expect(evaluate(addDims(a, b), at)).to.equal(x + y);
        expect(evaluate(scaleDim(a, n), at)).to.equal(x * n);
        expect(evaluate(productDim([a, b]), at)).to.equal(x * y + 0);
        expect(evaluate(divideDim(a, n), at)).to.equal(Math.floor(x / n) + 0);
        expect(evaluate(maxDim(a, b), at)).to.equal(Math.max(x, y));
      }),
    );
  });

  it('a dimension expression evaluates to the same size with a name as with its number', () => {
    const small = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(
        fc.integer({ min: 30, max: 90 }),
        small,
        small,
        small,
        fc.nat(3),
        fc.nat(3),
        (H, kernel, stride, dilation, padBegin, padEnd) => {
          const along = { kernel, stride, dilation, padBegin, padEnd };
          expect(evaluate(convDim('H', along), { H })).to.equal(convDim(H, along));
          expect(evaluate(ceilPoolDim('H', along), { H })).to.equal(ceilPoolDim(H, along));
          expect(evaluate(convTransposeDim('H', along, 1), { H })).to.equal(convTransposeDim(H, along, 1));
        },
      ),
    );
  });
});

describe('sliceDim', () => {
  const index = fc.oneof(fc.integer({ min: -12, max: 12 }), fc.constant(2 ** 31 - 1));

  it('sliceDim is as long as what JavaScript slices', () => {
    fc.assert(
      fc.property(fc.nat(8), index, index, (size, start, end) => {
        const length = Array<number>(size).fill(0).slice(start, end).length;
        expect(sliceDim(size, start, end)).to.equal(length);
        expect(evaluate(sliceDim('H', start, end), { H: size })).to.equal(length);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('names that this library did not write', () => {
  // Models from other exporters carry such names.
  const NAMES = [
    'past_length + 1',
    'N+',
    'b-a',
    '(a)(b)',
    '(N + 1)',
    '2*(H-1)',
    'H*2',
    '5',
    '',
    ' ',
    'floor(H / 2)',
    'H/2',
    '日本',
  ];

  for (const odd of NAMES) {
    it(`a dimension expression takes '${odd}' as one name`, () => {
      expect(convDim(odd, window(3, 1, 1))).to.equal(odd);
      const halved = divideDim(odd, 2);
      expect(divideDim(halved, 2)).to.equal(divideDim(odd, 4));
      expect(addDims(scaleDim(odd, 2), 1, scaleDim(odd, -1), -1)).to.equal(odd);
      expect(divideDim(scaleDim(odd, 4), 2)).to.equal(scaleDim(odd, 2));
    });
  }
});
