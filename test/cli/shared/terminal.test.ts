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

  it('colorsOf returns no colours for a stream that is not a terminal', () => {
    expect(colorsOf(new Sink()).red('text')).to.equal('text');
  });
});
