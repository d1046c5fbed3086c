import { expect } from 'chai';
import { describe, it } from 'mocha';
import { colorsOf, print } from '../../../lib/cli/shared/terminal.js';
import { Sink } from '../support.js';

describe('cli/io', () => {
  it('prints lines', () => {
    const sink = new Sink();
    print(sink, 'a', '', 'b');
    expect(sink.text).to.equal('a\n\nb\n');
  });

  it('what is not a terminal gets no colours', () => {
    expect(colorsOf(new Sink()).red('text')).to.equal('text');
  });
});
