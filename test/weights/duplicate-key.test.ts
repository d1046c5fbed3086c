import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { duplicateKey } from '../../lib/weights/safetensors-header.js';

describe('duplicateKey', () => {
  it('duplicateKey finds a key that an object has twice, at any depth', () => {
    expect(duplicateKey('{"a":1,"b":2,"a":3}')).to.equal('a');
    expect(duplicateKey('{"x":{"a":1,"a":1}}')).to.equal('a');
    expect(duplicateKey('[[{"a":[{"b":1},{}],"c":{},"a":0}]]')).to.equal('a');
    expect(duplicateKey('{"":1 , "" :2}')).to.equal('');
    expect(duplicateKey('{"__proto__":1,"__proto__":2}')).to.equal('__proto__');
  });

  it('duplicateKey recognises one key written in two ways', () => {
    expect(duplicateKey('{"a":1,"\\u0061":2}')).to.equal('a');
    expect(duplicateKey('{"/":1,"\\/":2}')).to.equal('/');
  });

  it('duplicateKey ignores values, other objects, and braces, colons and quotes in strings', () => {
    for (const json of [
      '{"a":"a","b":"a"}',
      '{"a":{"a":1},"b":{"a":1}}',
      '[{"a":1},{"a":1}]',
      '{"a":"\\"a\\":","b":"{\\"a\\":1"}',
      '{"a\\\\":1,"a":"}{:","b":[":","a"]}',
      '"a"',
      '{}',
    ]) {
      expect(duplicateKey(json), json).to.equal(undefined);
    }
  });

  it('duplicateKey finds no key in what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(4), (value, indent) => {
        expect(duplicateKey(JSON.stringify(value, undefined, indent))).to.equal(undefined);
      }),
    );
  });

  it('duplicateKey finds any key that was written again', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.nat(), (object, n) => {
        const members = Object.entries(object).map(
          ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
        );
        const again = members[n % members.length]!;
        const key = Object.keys(object)[n % members.length]!;
        expect(duplicateKey(`{${[...members, again].join(',')}}`)).to.equal(key);
      }),
    );
  });
});
