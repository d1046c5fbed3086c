import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../../../lib/runtime/core/self-test.js';
import { tryProvider, withoutSource } from '../../../lib/runtime/ort-node/accelerators.js';
import { loadOnNode, type NodeModel, type NodeOptions } from '../../../lib/runtime/ort-node/model.js';
import { loadVerified, placements } from '../../../lib/runtime/ort-node/placement.js';
import { rejection } from '../../support/temporary.js';

describe('runtime/placement', () => {
  it("counts the nodes of a profile by the provider that ran them, and not the session's own events", () => {
    const events = [
      { cat: 'Session', args: {} },
      { cat: 'Node', args: { provider: 'CUDAExecutionProvider' } },
      { cat: 'Node', args: { provider: 'CPUExecutionProvider' } },
      { cat: 'Node', args: { provider: 'CPUExecutionProvider' } },
      { cat: 'Node', args: {} },
    ];
    expect([...placements(JSON.stringify(events))]).to.deep.equal([
      ['CUDAExecutionProvider', 1],
      ['CPUExecutionProvider', 2],
    ]);
  });

  /** ONNX Runtime on the CPU, taken for another provider, which leaves everything to the CPU. */
  const load = async (runtimeName: string) => {
    const asked: NodeOptions[] = [];
    const model = await loadVerified(runtimeName, {}, (options): Promise<NodeModel> => {
      asked.push(options);
      return loadOnNode('cpu', probeModel('reduce-mean'), undefined, options);
    });
    expect(asked.map(({ cpuFallback }) => cpuFallback)).to.deep.equal([false, undefined]);
    return { model, folder: asked[1]!.profileFilePrefix!.replace(/run$/, '') };
  };

  it('a model that is on the provider as a whole is not loaded again, and not profiled', async () => {
    const asked: NodeOptions[] = [];
    const model = await loadVerified('CUDAExecutionProvider', {}, (options): Promise<NodeModel> => {
      asked.push(options);
      return loadOnNode('cpu', probeModel('reduce-mean'), undefined, { ...options, cpuFallback: true });
    });
    expect(asked).to.deep.equal([{ cpuFallback: false }]);
    expect(whyWrong((await model.run({ x: PROBE_INPUT }, {})).y!.data as Float32Array)).to.be.undefined;
    await model.dispose();
  });

  it("a caller's own profile is the only one: the model is loaded once, as it is asked for", async () => {
    const asked: NodeOptions[] = [];
    const options = { profileFilePrefix: 'mine' };
    await rejection(
      loadVerified('CUDAExecutionProvider', options, (all) => {
        asked.push(all);
        return Promise.reject(new Error('enough'));
      }),
    );
    expect(asked).to.deep.equal([options]);
  });

  it('a model whose nodes ran where they should runs, twice, and leaves no profile behind', async () => {
    const { model, folder } = await load('CPUExecutionProvider');
    expect(existsSync(folder)).to.be.true;
    for (let run = 0; run < 2; run++) {
      expect(whyWrong((await model.run({ x: PROBE_INPUT }, {})).y!.data as Float32Array)).to.be.undefined;
      expect(existsSync(folder)).to.be.false;
    }
    await model.dispose();
  });

  it('a model whose nodes all ran on the CPU instead is refused, at every run', async () => {
    const { model } = await load('CUDAExecutionProvider');
    for (let run = 0; run < 2; run++) {
      const error = await rejection(model.run({ x: PROBE_INPUT }, {}));
      expect(error).to.be.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
      expect((error as Error).message).to.match(
        /no node .* on CUDAExecutionProvider, but: CPUExecutionProvider \d+; ask for the provider 'cpu'/,
      );
    }
    await model.dispose();
  });

  it('a model that is never run leaves no profile behind either', async () => {
    const { model, folder } = await load('CUDAExecutionProvider');
    await model.dispose();
    expect(existsSync(folder)).to.be.false;
  });

  it('a profile that is not there does not count as one that shows the provider', async () => {
    const { model, folder } = await load('CPUExecutionProvider');
    await rm(folder, { recursive: true });
    const error = await rejection(model.run({ x: PROBE_INPUT }, {}));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
    expect((error as Error).message).to.match(
      /cannot be seen: there is no profile in .*let TMPDIR name a folder/,
    );
    await model.dispose();
  });
});

describe('runtime/trial', () => {
  it('refuses to take the CPU for another provider', async () => {
    expect(await tryProvider('cpu')).to.match(
      /assigned to the default CPU EP, but fallback to CPU EP has been/,
    );
  });

  it('says what the runtime says of a provider that it does not have', async () => {
    expect(await tryProvider('abacus')).to.include('[abacus] backend not found');
  });

  it('takes out of a failure of CUDA what failed, and not where', () => {
    const said =
      '/onnxruntime_src/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void> onnxruntime::CudaCall() ' +
      'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm ; file=x';
    expect(withoutSource(said)).to.equal(
      'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
    );
    expect(withoutSource('session.cc:12 condition was false. It is not there')).to.equal('It is not there');
  });

  it('knows a right result from a wrong one', () => {
    expect(whyWrong([-1, 3])).to.be.undefined;
    expect(whyWrong([-1, NaN])).to.equal('it computes [-1, NaN] where [-1, 3] is right');
    expect(whyWrong([])).to.include('it computes []');
  });
});
