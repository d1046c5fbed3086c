import { expect } from 'chai';
import { describe, it } from 'mocha';
import { colorsOf, print } from '../../../lib/cli/shared/terminal.js';
import { Sink } from '../support.js';

describe('the streams of the command line', () => {
  it('print writes lines', () => {
    const sink = new Sink();
    print(sink, 'a', '', 'b');
    expect(sink.text).to.equal('a\n\nb\n');
  });

  it('print leaves on a terminal no escape sequence but the colours of the command line', () => {
    const sink = Object.assign(new Sink(), { isTTY: true });
    print(sink, '\u001b[31mred\u001b[39m \u001b[8mhidden\u001b[1;31m\u001b[2J');
    expect(sink.text).to.equal('\u001b[31mred\u001b[39m \\u001b[8mhidden\\u001b[1;31m\\u001b[2J\n');
  });

  it('colorsOf returns no colours for a stream that is not a terminal', () => {
    expect(colorsOf(new Sink()).red('text')).to.equal('text');
  });
});
