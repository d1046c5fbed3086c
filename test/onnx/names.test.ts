import { expect } from 'chai';
import { describe, it } from 'mocha';
import { definedNames, takenNames } from '../../lib/onnx/graph-walk.js';
import { WireReader } from '../../lib/onnx/wire.js';
import { message, text } from './bytes.js';

function names(field: readonly number[], read: typeof takenNames): string[] {
  const reader = WireReader.of(Uint8Array.from(field));
  reader.next();
  return [...read(reader)];
}

describe('the names in a field of a graph', () => {
  const fields: [what: string, field: readonly number[], defined: string[], taken: string[]][] = [
    ['a node', message(1, text(1, 'x'), text(2, 'y'), text(2, ''), text(3, 'n')), ['y', ''], ['y', '', 'n']],
    ['an input', message(11, text(1, 'x')), ['x'], ['x']],
    ['an output', message(12, text(1, 'y')), [], ['y']],
    ['a declared type', message(13, text(1, 'h')), [], ['h']],
    ['a tensor', message(5, text(12, 'text'), text(8, 'w')), ['w'], ['w']],
    ['a sparse tensor', message(15, message(1, text(8, 's'))), ['s'], ['s']],
    ['the name of the graph', text(2, 'g'), [], []],
  ];
  for (const [what, field, defined, taken] of fields) {
    it(`are, for ${what}, those of its values and all that are taken`, () => {
      expect(names(field, definedNames)).to.deep.equal(defined);
      expect(names(field, takenNames)).to.deep.equal(taken);
    });
  }
});
