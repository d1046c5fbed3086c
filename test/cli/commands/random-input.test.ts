import { expect } from 'chai';
import { describe, it } from 'mocha';
import { randomTensor } from '../../../lib/cli/commands/run-tensors.js';
import { Progress } from '../../../lib/cli/shared/progress.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';
import { castTensor, type FloatDType, tensor } from '../../../lib/index.js';
import { Random } from '../../../lib/weights/initialize.js';
import { Sink } from '../support.js';

const info = (dtype: FloatDType) => ({ name: 'x', dtype, shape: ['N'] });

describe('cli/random-input', () => {
  it('element i is number i of the generator, rounded to the dtype, also behind the first chunk', async () => {
    const random = new Random(5, 'x');
    const length = 2 ** 17 + 3;
    const numbers = new Float64Array(length).map((_, i) => random.normal(i));
    for (const dtype of ['float64', 'float32', 'float16', 'bfloat16'] as const) {
      const { data } = await randomTensor(info(dtype), [length], 5);
      const expected = castTensor(tensor('float64', [length], numbers), dtype).data;
      expect(Buffer.from(data.buffer).equals(Buffer.from(expected.buffer)), dtype).to.be.true;
    }
  });

  it('an empty input is no error', async () => {
    expect((await randomTensor(info('float32'), [0, 3], 0)).dims).to.deep.equal([0, 3]);
  });

  it('says how far it is, and leaves the thread to others now and then', async () => {
    const steps: string[] = [];
    const progress = new Progress(new Sink());
    progress.step = (text) => void steps.push(text);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    await randomTensor(info('float32'), [2 ** 19], 0, progress);
    clearInterval(timer);
    progress.stop();
    expect(steps).to.deep.equal([0, 25, 50, 75].map((percent) => `random input x, ${percent} %`));
    expect(turns).to.be.at.least(2);
  });

  it('more elements than the generator has numbers are refused', async () => {
    const error: unknown = await randomTensor(info('float32'), [2 ** 31], 0).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.include('allowed: at most 2147483647 elements');
  });
});
