import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readTextFormat } from '../../../lib/server/models/text-format.js';
import { caught } from '../../support/temporary.js';

const read = (text: string) => readTextFormat(text, 'config.pbtxt');
const problem = (text: string, use: (message: ReturnType<typeof read>) => unknown = () => undefined) =>
  (caught(() => use(read(text))) as Error | undefined)?.message;

describe("protobuf's text format", () => {
  it('readTextFormat reads scalars, messages with and without a colon, and lists', () => {
    const message = read(`
      name: "resnet" # a comment
      max_batch_size: 8,
      dims: [ 3, -1, -1 ]
      size: 1; size: 0x10 size: 010
      kind: KIND_CPU
      on: true
      group { count: 2 } group: < count: 3 >
      groups: [ { count: 4 }, { count: 5 } ]
      none: []
    `);
    expect(message.text('name')).to.equal('resnet');
    expect(message.integer('max_batch_size')).to.equal(8);
    expect(message.integers('dims')).to.deep.equal([3, -1, -1]);
    expect(message.integers('size')).to.deep.equal([1, 16, 8]);
    expect(message.word('kind')).to.equal('KIND_CPU');
    expect(message.flag('on')).to.equal(true);
    expect(message.messages('group').map((group) => group.integer('count'))).to.deep.equal([2, 3]);
    expect(message.messages('groups').map((group) => group.integer('count'))).to.deep.equal([4, 5]);
    expect(message.integers('none')).to.deep.equal([]);
    expect([message.text('absent'), message.integer('absent'), message.message('absent')]).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('readTextFormat joins adjacent texts and reads their escapes', () => {
    const message = read(String.raw`a: "one " 'two' b: "\"\x41\102\n\\" c: '"'`);
    expect([message.text('a'), message.text('b'), message.text('c')]).to.deep.equal([
      'one two',
      '"AB\n\\',
      '"',
    ]);
  });

  it('readTextFormat names the line of a mistake', () => {
    expect(problem('a: 1\nb 2')).to.equal("config.pbtxt, line 2: ':' or '{' must stand here");
    expect(problem('a: 1\n\nb: }')).to.equal('config.pbtxt, line 3: a value must stand here');
    expect(problem('a {\nb: 1')).to.equal('config.pbtxt, line 2: a name of a field must stand here');
    expect(problem('a: "open')).to.contain('a value must stand here');
    expect(problem('a: [1, 2')).to.contain("',' or ']' must stand here");
    expect(problem('[ext.name]: 1')).to.contain('a name of a field must stand here');
  });

  it('readTextFormat says which type a field takes, and refuses a second value of a single field', () => {
    expect(problem('a: "8"', (message) => message.integer('a'))).to.equal(
      "config.pbtxt, line 1: 'a' takes an integer of at most 2^53",
    );
    expect(problem('a: 99999999999999999999', (message) => message.integer('a'))).to.contain('an integer');
    expect(problem('a: 1.5', (message) => message.integer('a'))).to.contain('an integer');
    expect(problem('a: yes', (message) => message.flag('a'))).to.contain('true or false');
    expect(problem('a: 1\na: 2', (message) => message.integer('a'))).to.equal(
      "config.pbtxt, line 2: 'a' is given twice",
    );
    expect(problem('max_batchsize: 1', (message) => message.allow(['max_batch_size']))).to.contain(
      "'max_batchsize' is not a field here: did you mean 'max_batch_size'?",
    );
  });

  it('readTextFormat refuses messages that lie too deep, and takes long texts in proportion to their length', () => {
    expect(problem('a {'.repeat(100_000))).to.contain('messages lie more than 32 deep');
    const begin = performance.now();
    expect(problem(`a: "${'\\'.repeat(200_000)}`)).to.contain('a value must stand here');
    expect(problem('- '.repeat(100_000))).to.contain('a name of a field');
    expect(read('a: 1\n'.repeat(50_000)).integers('a')).to.have.length(50_000);
    expect(performance.now() - begin).to.be.below(5000);
  });
});
