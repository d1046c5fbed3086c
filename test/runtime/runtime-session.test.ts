/** A session whose provider turns out, at its first run, to lack what the model needs. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../lib/errors.js';
import { GraphBuilder, op } from '../../lib/graph/index.js';
import { encodeModel } from '../../lib/onnx/index.js';
import type { Backend, LoadedModel } from '../../lib/runtime/backend.js';
import type { Platform } from '../../lib/runtime/platform.js';
import type { Provider } from '../../lib/runtime/providers.js';
import { openSession } from '../../lib/runtime/open-session.js';
import type { SessionOptions } from '../../lib/runtime/session.js';
import { tensor } from '../../lib/tensor.js';
import { rejection } from '../support/temporary.js';

const X = tensor('float32', [2], Float32Array.of(1, 2));
const MODEL = (() => {
  const g = new GraphBuilder('relu');
  g.output('y', op.relu(g, g.input('x', 'float32', [2])));
  return encodeModel(g.build(), new Map());
})();
const INFO = { dtype: 'float32', shape: [2] } as const;

/** What a provider does at a run: gives its own name's length, or fails. */
type Behaviour = () => Promise<void>;
const works: Behaviour = () => Promise.resolve();
const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
const lacks: Behaviour = () =>
  Promise.reject(new SessionError('PROVIDER_UNAVAILABLE', 'no node was placed on it'));

/** A place with providers that behave so, and what happened to their models. */
function place(behaviours: Partial<Record<Provider, Behaviour>>) {
  const events: string[] = [];
  const backend = (provider: Provider): Backend => ({
    provider,
    hasGroupNormKernel: false,
    takesBfloat16: false,
    whyUnavailable: () => undefined,
    load: () => {
      events.push(`load ${provider}`);
      let isOpen = true;
      const model: LoadedModel = {
        inputs: [{ name: 'x', ...INFO }],
        outputs: [{ name: 'y', ...INFO }],
        async run() {
          await later();
          await behaviours[provider]!();
          if (!isOpen) throw new Error('a run outlived its model');
          return { y: tensor('float32', [2], new Float32Array(2).fill(provider.length)) };
        },
        dispose: () => {
          events.push(`dispose ${provider}`);
          isOpen = false;
          return Promise.resolve();
        },
      };
      return Promise.resolve(model);
    },
  });
  const platform: Platform = {
    defaultProvider: 'cpu',
    readModel: () => Promise.reject(new Error('never read')),
    hasFile: () => false,
    chooseBackend: (provider) => Promise.resolve({ backend: backend(provider) }),
  };
  const open = (options: SessionOptions) => openSession(platform, MODEL, options);
  return { events, open };
}

describe('a session whose provider lacks what the model needs', () => {
  it('moves on to the next one of the list, at its first run, and says so', async () => {
    const { events, open } = place({ cuda: lacks, webgpu: lacks, cpu: works });
    const session = await open({ providers: ['cuda', 'webgpu', 'cpu'] });
    expect([session.provider, session.fallbacks]).to.deep.equal(['cuda', []]);
    const { y } = await session.run({ x: X });
    expect([...y!.data]).to.deep.equal([3, 3]);
    expect(session.provider).to.equal('cpu');
    const reason = 'no node was placed on it';
    expect(session.fallbacks).to.deep.equal([
      { provider: 'cuda', reason },
      { provider: 'webgpu', reason },
    ]);
    await session.dispose();
    expect(events).to.deep.equal([
      'load cuda',
      'load webgpu',
      'dispose cuda',
      'load cpu',
      'dispose webgpu',
      'dispose cpu',
    ]);
  });

  it('moves once where many runs find out at the same time, and each gives its result', async () => {
    const { events, open } = place({ webgpu: lacks, cpu: works });
    const session = await open({ providers: ['webgpu', 'cpu'] });
    const results = await Promise.all([1, 2, 3, 4].map(() => session.run({ x: X })));
    expect(results.map(({ y }) => y!.data[0])).to.deep.equal([3, 3, 3, 3]);
    expect(events).to.deep.equal(['load webgpu', 'load cpu', 'dispose webgpu']);
    await session.dispose();
  });

  it('lets the runs that ONNX Runtime is at end before their model is freed', async () => {
    let run = 0;
    const second: Behaviour = async () => {
      if (run++ === 0) return lacks();
      await later();
      await later();
    };
    const { open } = place({ webgpu: second, cpu: works });
    const session = await open({ providers: ['webgpu', 'cpu'] });
    const results = await Promise.all([session.run({ x: X }), session.run({ x: X })]);
    expect(results.map(({ y }) => y!.data[0])).to.deep.equal([3, 6]);
    await session.dispose();
  });

  it('disposed of on its way, ends the run and frees both models', async () => {
    const { events, open } = place({ webgpu: lacks, cpu: works });
    const session = await open({ providers: ['webgpu', 'cpu'] });
    const running = session.run({ x: X });
    await session.dispose();
    expect([...(await running).y!.data]).to.deep.equal([3, 3]);
    expect(events).to.deep.equal(['load webgpu', 'load cpu', 'dispose webgpu', 'dispose cpu']);
    expect(await rejection(session.run({ x: X }))).to.have.property('code', 'DISPOSED');
    await session.dispose();
    expect(events).to.have.length(4);
  });

  it('fails where there is no next one, or strict, and stays what it is', async () => {
    for (const options of [{ providers: ['cuda'] }, { providers: ['cuda', 'cpu'], strict: true }]) {
      const { events, open } = place({ cuda: lacks, cpu: works });
      const session = await open(options);
      for (let run = 0; run < 2; run++) {
        const error = await rejection(session.run({ x: X }));
        expect(error).to.have.property('code', 'PROVIDER_UNAVAILABLE');
        expect((error as Error).message).to.equal('no node was placed on it');
      }
      expect([session.provider, events]).to.deep.equal(['cuda', ['load cuda']]);
      await session.dispose();
    }
  });

  it('says of each why not, where none can run the model', async () => {
    const { open } = place({ cuda: lacks, webgpu: lacks });
    const session = await open({ providers: ['cuda', 'webgpu'] });
    const error = await rejection(session.run({ x: X }));
    expect(error).to.have.property('code', 'PROVIDER_UNAVAILABLE');
    await session.dispose();
  });

  it('does not move for want of memory, an abort, or a failure that another run may not have', async () => {
    const failures = [
      'CUDA failure 2: out of memory',
      'CUDA failure 700: an illegal memory access was encountered',
    ];
    for (const said of failures) {
      const { events, open } = place({ cuda: () => Promise.reject(new Error(said)), cpu: works });
      const session = await open({ providers: ['cuda', 'cpu'] });
      expect(((await rejection(session.run({ x: X }))) as Error).message).to.include(said);
      expect([session.provider, events]).to.deep.equal(['cuda', ['load cuda']]);
      await session.dispose();
    }
    const { open } = place({ cuda: lacks, cpu: works });
    const session = await open({ providers: ['cuda', 'cpu'] });
    const controller = new AbortController();
    const running = rejection(session.run({ x: X }, { signal: controller.signal }));
    controller.abort();
    expect(await running).to.have.property('code', 'ABORTED');
    await session.dispose();
  });
});
