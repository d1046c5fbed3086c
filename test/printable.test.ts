import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError, SessionError, WeightsError } from '../lib/errors.js';
import { printable, printableJson, printableLines } from '../lib/printable.js';

/** What a name can do to a terminal, by its escape. */
const HARMFUL: readonly (readonly [name: string, text: string, shown: string])[] = [
  ['a cursor movement', '\x1b[2J', '\\u001b[2J'],
  ['a title', '\x1b]0;owned\x07', '\\u001b]0;owned\\u0007'],
  ['a new line', 'a\r\nb', 'a\\u000d\\u000ab'],
  ['a control sequence of one byte', '\x9b31m', '\\u009b31m'],
  ['a deletion', 'a\x7f\b', 'a\\u007f\\u0008'],
  ['a change of direction', '\u202egnp.\u2066', '\\u202egnp.\\u2066'],
  ['hidden characters', 'a\u200b\u00ad\u{e0041}', 'a\\u200b\\u00ad\\u{e0041}'],
  ['a line separator', '\u2028\u2029\x85', '\\u2028\\u2029\\u0085'],
  ['half a character', '\ud800', '\\ud800'],
];

describe('printable', () => {
  for (const [name, text, shown] of HARMFUL) {
    it(`printable shows ${name} as an escape`, () => {
      expect(printable(text)).to.equal(shown);
    });
  }

  it('printable keeps text in every script, and symbols', () => {
    const text = 'layer1.0.conv/重み naïve שלום 😀 |×| \\u001b';
    expect(printable(text)).to.equal(text);
  });

  it('printableLines keeps line feeds alone', () => {
    expect(printableLines('a\n\tb\x1b')).to.equal('a\n\\u0009b\\u001b');
  });

  it('printableJson has escapes that JSON.parse reads', () => {
    const value = Object.fromEntries(HARMFUL.map(([name, text]) => [name, [text]]));
    const text = printableJson(value);
    expect(JSON.parse(text)).to.deep.equal(value);
    expect(printableLines(text)).to.equal(text);
  });

  it('an error shows control characters in names as escapes, and keeps its own lines', () => {
    expect(new ModelError('MODEL_INVALID', "node 'a\n\x1b[31m'").message).to.equal(
      "node 'a\\u000a\\u001b[31m'",
    );
    const several = new WeightsError('STATE_DICT_MISMATCH', ['first:', "  'a\nb'"]);
    expect(several.message).to.equal("first:\n  'a\\u000ab'");
    expect(several.stack).to.include("'a\\u000ab'");
  });

  it('an error leaves out the middle of a name of a million characters, and keeps what to do', () => {
    const { message } = new SessionError('INPUT_UNKNOWN', `'${'x'.repeat(1e6)}' is not an input: name 'y'`);
    expect(message).to.have.length.below(2100);
    expect(message).to.match(/^'xxx.*xxx \[…\] xxx.*' is not an input: name 'y'$/);
  });
});
