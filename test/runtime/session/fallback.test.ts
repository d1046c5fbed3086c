/** Sessions whose provider lacks something that the model needs, which the first run shows. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import {
  type Backend,
  type LoadedModel,
  type Platform,
  type Provider,
  PROVIDERS,
  type SessionOptions,
} from '../../../lib/runtime/core/contract.js';
import { openSession } from '../../../lib/runtime/session/open.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { groupNormModel, randomTensor } from '../../support/group-norm.js';
import { runProgram } from '../../support/program.js';
import { rejection } from '../../support/temporary.js';

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
function place(
  behaviours: Partial<Record<Provider, Behaviour>>,
  { onLoad = later, onDispose = works }: { onLoad?: Behaviour; onDispose?: Behaviour } = {},
) {
  const events: string[] = [];
  /** The elements of `x` that each run has read, by its provider. */
  const read: Partial<Record<Provider, number[]>> = {};
  const backend = (provider: Provider): Backend => ({
    provider,
    hasGroupNormKernel: false,
    takesBfloat16: false,
    takesOptionalInputs: false,
    whyUnavailable: () => undefined,
    load: async () => {
      events.push(`load ${provider}`);
      await onLoad();
      let isOpen = true;
      const model: LoadedModel = {
        inputs: [{ name: 'x', ...INFO }],
        outputs: [{ name: 'y', ...INFO }],
        async run({ x }) {
          events.push(`run ${provider}`);
          read[provider] = Array.from(x!.data as Float32Array);
          await later();
          await behaviours[provider]!();
          if (!isOpen) throw new Error('a run outlived its model');
          return { y: tensor('float32', [2], new Float32Array(2).fill(provider.length)) };
        },
        dispose: () => {
          events.push(`dispose ${provider}`);
          isOpen = false;
          return onDispose();
        },
      };
      return model;
    },
  });
  const platform: Platform = {
    defaultProvider: 'cpu',
    readModel: () => Promise.reject(new Error('never read')),
    dataFileProblem: () => 'which is missing',
    backends: Object.fromEntries(PROVIDERS.map((provider) => [provider, [backend(provider)]])),
  };
  const open = (options: SessionOptions) => openSession(platform, MODEL, options);
  return { events, open, read };
}

describe('a session whose provider lacks what the model needs', () => {
  it('a session whose provider lacks a kernel moves to the next provider at its first run, and reports the fallback', async () => {
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
    const loads = events.filter((event) => event.startsWith('load'));
    expect(loads).to.deep.equal(['load cuda', 'load webgpu', 'load cpu']);
    expect(events.filter((event) => event.startsWith('dispose'))).to.have.members([
      'dispose cuda',
      'dispose webgpu',
      'dispose cpu',
    ]);
  });

  it('a session that moves to the next provider reads the inputs as they were when run was called', async () => {
    const { open, read } = place({ cuda: lacks, cpu: works });
    const session = await open({ providers: ['cuda', 'cpu'] });
    const x = tensor('float32', [2], Float32Array.of(1, 2));
    const running = session.run({ x });
    x.data.fill(9);
    await running;
    expect(read).to.deep.equal({ cuda: [1, 2], cpu: [1, 2] });
    await session.dispose();
  });

  it('a session moves to the next provider once if several runs fail at the same time, and each run returns its result', async () => {
    const { events, open } = place({ webgpu: lacks, cpu: works });
    const session = await open({ providers: ['webgpu', 'cpu'] });
    const results = await Promise.all([1, 2, 3, 4].map(() => session.run({ x: X })));
    expect(results.map(({ y }) => y!.data[0])).to.deep.equal([3, 3, 3, 3]);
    expect(events.filter((event) => event === 'load cpu')).to.have.length(1);
    await session.dispose();
    expect(events.filter((event) => event.startsWith('dispose'))).to.have.members([
      'dispose webgpu',
      'dispose cpu',
    ]);
  });

  it('a session that moves to the next provider waits for the runs in progress before it frees their model', async () => {
    let run = 0;
    const slow: Behaviour = async () => {
      if (run++ === 0) return lacks();
      for (let wait = 0; wait < 5; wait++) await later();
    };
    const { open } = place({ webgpu: slow, cpu: works });
    const session = await open({ providers: ['webgpu', 'cpu'] });
    const results = await Promise.all([session.run({ x: X }), session.run({ x: X })]);
    expect(results.map(({ y }) => y!.data[0])).to.deep.equal([3, 6]);
    await session.dispose();
  });

  it('a session can still move to the third provider after a run succeeds on the first, which another run has left', async () => {
    let run = 0;
    const once: Behaviour = async () => {
      if (run++ === 0) return lacks();
      for (let wait = 0; wait < 5; wait++) await later();
    };
    const slowly: Behaviour = async () => {
      for (let wait = 0; wait < 10; wait++) await later();
      return lacks();
    };
    const { open } = place({ cuda: once, webgpu: slowly, cpu: works });
    const session = await open({ providers: ['cuda', 'webgpu', 'cpu'] });
    const results = await Promise.all([session.run({ x: X }), session.run({ x: X })]);
    expect(results.map(({ y }) => y!.data[0])).to.deep.equal([3, 4]);
    expect(session.provider).to.equal('cpu');
    await session.dispose();
  });

  it('a session that is disposed of while it moves to the next provider ends the run and frees both models', async () => {
    const { events, open } = place({ webgpu: lacks, cpu: works });
    const session = await open({ providers: ['webgpu', 'cpu'] });
    const running = session.run({ x: X });
    await session.dispose();
    expect([...(await running).y!.data]).to.deep.equal([3, 3]);
    const expected = ['load webgpu', 'run webgpu', 'load cpu', 'run cpu', 'dispose webgpu', 'dispose cpu'];
    expect(events).to.have.members(expected).and.have.length(6);
    expect(await rejection(session.run({ x: X }))).to.have.property('code', 'DISPOSED');
    await session.dispose();
    expect(events).to.have.length(6);
  });

  it('a session starts no run on the next provider if the run is aborted while the session moves', async () => {
    const controller = new AbortController();
    const { events, open } = place({ cuda: lacks, cpu: works });
    const session = await open({ providers: ['cuda', 'cpu'] });
    const running = rejection(session.run({ x: X }, { signal: controller.signal }));
    while (!events.includes('load cpu')) await later();
    controller.abort();
    expect(await running).to.have.property('code', 'ABORTED');
    expect(events).not.to.include('run cpu');
    await session.dispose();
  });

  it('a session that moves to the next provider returns its result even if the runtime cannot free the first model', async () => {
    const fails = () => Promise.reject(new Error('cannot be freed'));
    const { open } = place({ cuda: lacks, cpu: works }, { onDispose: fails });
    const session = await open({ providers: ['cuda', 'cpu'] });
    expect((await session.run({ x: X })).y!.data[0]).to.equal(3);
  });

  it('a session tries the next provider again after that provider lacked memory', async () => {
    let loads = 0;
    const onLoad = () =>
      loads++ === 1 ? Promise.reject(new Error('failed to allocate 9 bytes')) : Promise.resolve();
    const { open } = place({ cuda: lacks, cpu: works }, { onLoad });
    const session = await open({ providers: ['cuda', 'cpu'] });
    const error = await rejection(session.run({ x: X }));
    expect(error).to.have.property('code', 'OUT_OF_MEMORY');
    expect((error as Error).message).to.include('cuda: no node was placed on it; cpu: ');
    expect((await session.run({ x: X })).y!.data[0]).to.equal(3);
    await session.dispose();
  });

  it('a session fails and stays on its provider if there is no next provider, or with strict', async () => {
    for (const options of [{ providers: ['cuda'] }, { providers: ['cuda', 'cpu'], strict: true }] as const) {
      const { events, open } = place({ cuda: lacks, cpu: works });
      const session = await open(options);
      for (let run = 0; run < 2; run++) {
        const error = await rejection(session.run({ x: X }));
        expect(error).to.have.property('code', 'PROVIDER_UNAVAILABLE');
        expect((error as Error).message).to.equal('no node was placed on it');
      }
      expect([session.provider, events]).to.deep.equal(['cuda', ['load cuda', 'run cuda', 'run cuda']]);
      await session.dispose();
    }
  });

  it('a session keeps the reason of the first provider if the last provider fails too', async () => {
    const { open } = place({ cuda: lacks, webgpu: lacks });
    const session = await open({ providers: ['cuda', 'webgpu'] });
    const error = await rejection(session.run({ x: X }));
    expect(error).to.have.property('code', 'PROVIDER_UNAVAILABLE');
    expect([session.provider, session.fallbacks]).to.deep.equal([
      'webgpu',
      [{ provider: 'cuda', reason: 'no node was placed on it' }],
    ]);
    await session.dispose();
  });

  it('a session does not move to the next provider if a run lacks memory or a device fails', async () => {
    const failures = [
      'CUDA failure 2: out of memory',
      'CUDA failure 700: an illegal memory access was encountered',
    ];
    for (const said of failures) {
      const { events, open } = place({ cuda: () => Promise.reject(new Error(said)), cpu: works });
      const session = await open({ providers: ['cuda', 'cpu'] });
      expect(((await rejection(session.run({ x: X }))) as Error).message).to.include(said);
      expect([session.provider, events]).to.deep.equal(['cuda', ['load cuda', 'run cuda']]);
      await session.dispose();
    }
  });
});

describe('a session of a bfloat16 model', () => {
  it('a session of a bfloat16 model writes into given tensors on every provider, also without bfloat16', async () => {
    const { x, scale, bias } = {
      x: randomTensor('bfloat16', [1, 4, 3]),
      scale: randomTensor('bfloat16', [4], { stream: 'scale' }),
      bias: randomTensor('bfloat16', [4], { stream: 'bias' }),
    };
    const model = groupNormModel({ x, scale, bias, numGroups: 2, eps: 1e-5 }, { lowering: 'op', opset: 21 });
    for (const options of [{}, { groupNorm: 'reduce-mean' }, { providers: ['wasm'] }] as const) {
      const session = await createSession(model, options);
      const { y } = await session.run({ x });
      const given = tensor('bfloat16', [1, 4, 3], new Uint16Array(12));
      const results = await session.run({ x }, { outputs: { y: given } });
      expect(results.y).to.equal(given);
      expect([...given.data]).to.deep.equal([...y!.data]);
      await session.dispose();
    }
  });
});

describe("the bytes of a session's model", () => {
  it("the bytes of a session's model are freed after the first run, on every provider", async function () {
    const programs = new URL('programs.ts', import.meta.url);
    const { stdout } = await runProgram(programs, 'printWhatIsFreed', { flags: ['--expose-gc'] });
    expect(JSON.parse(stdout)).to.deep.equal({ cpu: 'freed', 'native,wasm': 'freed', wasm: 'freed' });
  }).timeout(60_000);
});
