import fc from 'fast-check';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { nearestName, suggestion } from '../lib/nearest.js';

describe('nearestName', () => {
  const names = ['enc1.conv.0.weight', 'enc1.conv.0.bias', 'enc2.conv.0.weight', 'head.weight'];

  it('nearestName finds the name with a letter wrong, missing, doubled or too many', () => {
    expect(nearestName('enc1.conv.0.wieght', names)).to.equal('enc1.conv.0.weight');
    expect(nearestName('enc1.conv.0.bas', names)).to.equal('enc1.conv.0.bias');
    expect(nearestName('heead.weight', names)).to.equal('head.weight');
  });

  it('nearestName finds the name with a prefix missing or too many', () => {
    expect(nearestName('module.head.weight', names)).to.equal('head.weight');
    expect(nearestName('conv.0.bias', names)).to.equal('enc1.conv.0.bias');
  });

  it('nearestName suggests no name if none is near', () => {
    expect(nearestName('running_mean', names)).to.equal(undefined);
    expect(nearestName('a', ['b'])).to.equal(undefined);
    expect(nearestName('a', [])).to.equal(undefined);
    expect(nearestName('', ['a'])).to.equal(undefined);
  });

  it('nearestName takes the first of equals', () => {
    expect(nearestName('conv3', ['conv1', 'conv2'])).to.equal('conv1');
  });

  it('nearestName takes the name itself if it is in the list', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (candidates) => {
        const name = candidates.at(-1)!;
        expect(nearestName(name, candidates)).to.equal(name);
      }),
    );
  });

  it('nearestName does not care which of two names is mistyped', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b') }),
        fc.string({ unit: fc.constantFrom('a', 'b') }),
        (a, b) => {
          expect(nearestName(a, [b]) === b).to.equal(nearestName(b, [a]) === a);
        },
      ),
    );
  });

  it('nearestName returns at once for a long name that is not near', () => {
    expect(nearestName('weight', ['x'.repeat(1e7)])).to.equal(undefined);
  });
});

describe('suggestion', () => {
  const names = ['op', 'reduce-mean', 'instance-norm', 'instance-norm-2'];

  it('suggestion names the only candidate that begins with the name', () => {
    expect(suggestion('reduce', names)).to.equal(": did you mean 'reduce-mean'?");
    expect(suggestion('reduce', new Set(names).values())).to.equal(": did you mean 'reduce-mean'?");
  });

  it('suggestion is empty where several candidates begin with the name, or the name is too short to say', () => {
    expect(suggestion('insta', names)).to.equal('');
    expect(suggestion('re', names)).to.equal('');
  });
});
