import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { Progress, withProgress } from '../../../lib/cli/shared/progress.js';
import { Sink } from '../support.js';

const SHOW_CURSOR = '\u001b[?25h';

describe('Progress', () => {
  const now = performance.now.bind(performance);
  let ahead = 0;
  const wait = (milliseconds: number) => {
    ahead += milliseconds;
    performance.now = () => now() + ahead;
  };
  afterEach(() => {
    ahead = 0;
    performance.now = now;
  });

  it('Progress does not print during work of less than a second', () => {
    const sink = new Sink();
    const progress = new Progress(sink);
    progress.step('one');
    wait(500);
    progress.step('two');
    progress.stop();
    expect(sink.text).to.equal('');
  });

  it('Progress prints a line after a second, and then every few seconds', () => {
    const sink = new Sink();
    const progress = new Progress(sink);
    for (let step = 1; step <= 100; step++) {
      wait(100);
      progress.step(`step ${step}`);
    }
    progress.stop();
    expect(sink.text).to.equal('step 10 …\nstep 50 …\nstep 90 …\n');
  });

  it('Progress prints the line of one long asynchronous step while it lasts, and no line after it', async () => {
    const sink = new Sink();
    const progress = new Progress(sink);
    wait(980);
    progress.step('reading');
    await sleep(60);
    expect(sink.text).to.equal('reading …\n');
    wait(3000);
    progress.step('writing');
    progress.stop();
    await sleep(60);
    expect(sink.text).to.equal('reading …\n');
  });

  it('Progress shows a spinner on a terminal, and removes it at the end', () => {
    const terminal = Object.assign(new Sink(), {
      isTTY: true,
      columns: 80,
      clearLine: () => true,
      cursorTo: () => true,
      moveCursor: () => true,
    });
    const progress = new Progress(terminal);
    progress.step('building');
    progress.step('writing');
    expect(terminal.text).to.include('building').and.to.include('writing');
    progress.stop();
    expect(terminal.text.endsWith(SHOW_CURSOR)).to.be.true;
  });

  it('Progress prints a warning at once, also in the first second', () => {
    const sink = new Sink();
    const progress = new Progress(sink);
    progress.step('one');
    progress.say('warning: two');
    progress.stop();
    expect(sink.text).to.equal('warning: two\n');
  });

  it('Progress prints plain lines on a terminal of unknown width', () => {
    const terminal = Object.assign(new Sink(), { isTTY: true, columns: 0 });
    const progress = new Progress(terminal);
    progress.step('one');
    wait(1000);
    progress.step('two');
    progress.stop();
    expect(terminal.text).to.equal('two …\n');
  });

  it('withProgress passes on the result and the error of the work', async () => {
    expect(await withProgress(new Sink(), () => Promise.resolve(7))).to.equal(7);
    const failure = await withProgress(new Sink(), () => Promise.reject(new Error('no'))).catch(String);
    expect(failure).to.equal('Error: no');
  });
});
