import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { Progress, withProgress } from '../../../lib/cli/shared/progress.js';
import { Sink } from '../support.js';

const SHOW_CURSOR = '\u001b[?25h';

describe('cli/progress', () => {
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

  it('work of less than a second is silent', () => {
    const sink = new Sink();
    const progress = new Progress(sink);
    progress.step('one');
    wait(500);
    progress.step('two');
    progress.stop();
    expect(sink.text).to.equal('');
  });

  it('longer work says a line after a second and then every few seconds', () => {
    const sink = new Sink();
    const progress = new Progress(sink);
    for (let step = 1; step <= 100; step++) {
      wait(100);
      progress.step(`step ${step}`);
    }
    progress.stop();
    expect(sink.text).to.equal('step 10 …\nstep 50 …\nstep 90 …\n');
  });

  it('one long piece of work that leaves the thread free says its line while it lasts, and none after it', async () => {
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

  it('a terminal gets a spinner that is gone at the end', () => {
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

  it('a line that is to stay stays, before the first second too', () => {
    const sink = new Sink();
    const progress = new Progress(sink);
    progress.step('one');
    progress.say('warning: two');
    progress.stop();
    expect(sink.text).to.equal('warning: two\n');
  });

  it('a terminal whose width is not known gets plain lines', () => {
    const terminal = Object.assign(new Sink(), { isTTY: true, columns: 0 });
    const progress = new Progress(terminal);
    progress.step('one');
    wait(1000);
    progress.step('two');
    progress.stop();
    expect(terminal.text).to.equal('two …\n');
  });

  it('the result and the error of the work pass through', async () => {
    expect(await withProgress(new Sink(), () => Promise.resolve(7))).to.equal(7);
    const failure = await withProgress(new Sink(), () => Promise.reject(new Error('no'))).catch(String);
    expect(failure).to.equal('Error: no');
  });
});
