import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { JsonReader } from '../../lib/files/json-reader.js';

/** The value of a text, built out of what the reader gives. */
function read(text: string): unknown {
  const json = new JsonReader(text);
  const value = (): unknown => {
    const first = json.peek();
    if (first === '{') {
      const members: [string, unknown][] = [];
      for (const key of json.members()) members.push([key, value()]);
      return Object.fromEntries(members);
    }
    if (first === '[') {
      const elements: unknown[] = [];
      for (const index of json.elements()) elements[index] = value();
      return elements;
    }
    if (first === '"') return json.string();
    return /[tfn]/.test(first) ? json.literal() : json.number();
  };
  const all = value();
  json.end();
  return all;
}

function skips(text: string): boolean {
  try {
    const json = new JsonReader(text);
    json.skip();
    json.end();
    return true;
  } catch (error) {
    expect(error).to.be.instanceOf(SyntaxError);
    return false;
  }
}

const outcome = (parse: () => unknown): unknown => {
  try {
    return { value: parse() };
  } catch (error) {
    return (error as Error).name;
  }
};

describe('JsonReader', () => {
  it('JsonReader reads every value as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(read(text)).to.deep.equal(JSON.parse(text));
        expect(skips(text)).to.be.true;
      }),
    );
  });

  it('JsonReader refuses with a SyntaxError what JSON.parse refuses, whether it reads or skips', () => {
    const piece = fc.constantFrom(...'{}[]:,"\\ \t\n-+.eE019ux'.split(''), 'true', 'nul', '\\u00', '"a"');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        expect(outcome(() => read(text))).to.deep.equal(outcome(() => JSON.parse(text)));
        expect(skips(text)).to.equal(outcome(() => JSON.parse(text)) !== 'SyntaxError');
      }),
      { numRuns: 2000 },
    );
    for (const text of [
      '01',
      '1.',
      '.5',
      '-',
      '+1',
      '1e',
      'tru',
      '"\n"',
      '"\\x"',
      '"',
      '"\\',
      '',
      '[1,]',
      '{"a"}',
      'NaN',
    ]) {
      expect(skips(text), text).to.be.false;
    }
  });

  it('JsonReader.size reads integers from 0 to 2^53 - 1 that are written in digits alone', () => {
    const sizes = ['0', '7', '9007199254740991', '9007199254740992', '-1', '1.0', '1e2', '01', '"1"', ''];
    expect(sizes.map((text) => new JsonReader(text).size())).to.deep.equal([
      0,
      7,
      9007199254740991,
      ...Array<undefined>(7).fill(undefined),
    ]);
  });

  it('JsonReader.skip refuses lists and objects that are nested more than 64 deep', () => {
    expect(skips('['.repeat(65) + ']'.repeat(65))).to.be.true;
    expect(skips('['.repeat(66) + ']'.repeat(66))).to.be.false;
    expect(skips('{"a":'.repeat(1e6))).to.be.false;
  });
});
