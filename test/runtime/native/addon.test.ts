/** The addon itself, with arguments that TypeScript would have refused: every one is an error, and none ends the process. */
import { expect } from 'chai';
import { it } from 'mocha';
import {
  type Addon,
  type AddonSession,
  type AddonTensor,
  loadAddon,
} from '../../../lib/runtime/native/addon.js';
import { encodeModel, GraphBuilder, op } from '../../../lib/index.js';
import { describeNative } from '../../support/native.js';

const OPTIONS = {
  intraOpNumThreads: 1,
  interOpNumThreads: 0,
  executionMode: 0,
  graphOptimizationLevel: 99,
  enableCpuMemArena: true,
  enableMemPattern: true,
  logSeverityLevel: 4,
  profilePrefix: '',
  optimizedModelPath: '',
  freeDimensions: {},
  config: {},
  externalFiles: {},
};

function reluModel(): Uint8Array {
  const g = new GraphBuilder('relu');
  g.output('y', op.relu(g, g.input('x', 'float32', ['N'])));
  return encodeModel(g.build(), new Map());
}

/** Returns the message of what an action throws, or of the promise that it returns. */
async function refusal(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    expect(error).to.be.instanceOf(Error);
    return (error as Error).message;
  }
  throw new Error('it was not refused');
}

describeNative('the addon with arguments of wrong kinds', () => {
  const addon = loadAddon().addon as Addon;
  const x: AddonTensor = { type: 1, dims: [2], data: new Float32Array(2) };
  const open = (): Promise<AddonSession> => addon.createSession(reluModel(), OPTIONS);
  const run = (session: AddonSession, tensor: unknown, names: unknown = ['x'], outputs: unknown = ['y']) =>
    session.run(names as [], [tensor] as unknown as [], outputs as [], [undefined], 1, true);

  for (const name of [
    'intraOpNumThreads',
    'interOpNumThreads',
    'executionMode',
    'logSeverityLevel',
  ] as const) {
    for (const value of [2 ** 31, -(2 ** 31) - 1, 1.5, NaN, Infinity]) {
      it(`the addon refuses ${name} ${value}, which is not an integer of 32 bits`, async () => {
        const message = await refusal(() => addon.createSession(reluModel(), { ...OPTIONS, [name]: value }));
        expect(message).to.equal(`${name} must be an integer of 32 bits`);
      });
    }
  }

  it('the addon refuses a model that is not a Uint8Array, and options that are missing', async () => {
    for (const model of [undefined, 'model', {}, new ArrayBuffer(8), 1]) {
      await refusal(() => addon.createSession(model as Uint8Array, OPTIONS));
    }
    await refusal(() => addon.createSession(reluModel(), {} as typeof OPTIONS));
    await refusal(() => addon.createSession(reluModel(), undefined as unknown as typeof OPTIONS));
  });

  it('the addon refuses tensors whose dims do not fit their data', async () => {
    const session = await open();
    for (const dims of [[3], [2, 2 ** 40], [-2, -1], [2 ** 32, 2 ** 32], ['2'], Array(2000).fill(2)]) {
      await refusal(() => run(session, { ...x, dims }));
    }
    expect(await run(session, x)).to.have.length(1);
    session.dispose();
  });

  it('the addon refuses tensors, names and types of the wrong kind', async () => {
    const session = await open();
    const wrong = [
      undefined,
      null,
      1,
      {},
      { ...x, data: [1, 2] },
      { ...x, data: undefined },
      { ...x, dims: 2 },
    ];
    for (const tensor of wrong) await refusal(() => run(session, tensor));
    for (const type of [0, -1, 8, 99, 2 ** 40]) await refusal(() => run(session, { ...x, type }));
    for (const names of [null, 'x', [1], [], ['x', 'x'], ['z'], ['\ud800']]) {
      await refusal(() => run(session, x, names));
      await refusal(() => run(session, x, ['x'], names));
    }
    session.dispose();
  });

  it('the addon refuses to run a session that is disposed of, even by a getter of the tensors', async () => {
    const session = await open();
    const tensor = {
      ...x,
      get dims() {
        session.dispose();
        return [2];
      },
    };
    expect(await refusal(() => run(session, tensor))).to.equal('the session is disposed of');
    expect(await refusal(() => run(session, x))).to.equal('the session is disposed of');
  });

  it('the addon takes back only buffers', async () => {
    for (const value of [undefined, {}, new Float32Array(1)]) {
      await refusal(() => addon.release(value as unknown as ArrayBuffer));
    }
    await refusal(() => addon.allocate(-1));
    await refusal(() => addon.allocate(2 ** 60));
  });
});
