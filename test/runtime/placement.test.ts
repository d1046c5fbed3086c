import { expect } from 'chai';
import { describe, it } from 'mocha';
import { existsSync } from 'node:fs';
import { SessionError } from '../../lib/errors.js';
import type { NodeModel } from '../../lib/runtime/onnxruntime-node.js';
import { loadOnNode } from '../../lib/runtime/onnxruntime-node.js';
import { loadVerified, placements } from '../../lib/runtime/placement.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../../lib/runtime/probe.js';
import { tryProvider, withoutSource } from '../../lib/runtime/trial.js';
import { remedyFor } from '../../lib/runtime/accelerators.js';

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

  /** ONNX Runtime on the CPU, taken for another provider. */
  const load = async (runtimeName: string) => {
    const folders: string[] = [];
    const model = await loadVerified(runtimeName, {}, (options): Promise<NodeModel> => {
      folders.push(options.profileFilePrefix!.replace(/run$/, ''));
      return loadOnNode('cpu', probeModel('reduce-mean'), undefined, options);
    });
    return { model, folder: folders[0]! };
  };

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
      const error: unknown = await model.run({ x: PROBE_INPUT }, {}).catch((caught: unknown) => caught);
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

  it('says of cuDNN that cuDNN is to be installed, and of other failures what the provider needs', () => {
    expect(remedyFor('cuda', 'cuDNN library was not found')).to.match(/^install cuDNN 9 for the same CUDA/);
    expect(remedyFor('cuda', 'CUDA failure 35: insufficient')).to.match(/^the driver must be as new as CUDA/);
  });

  it('knows a right result from a wrong one', () => {
    expect(whyWrong([-1, 3])).to.be.undefined;
    expect(whyWrong([-1, NaN])).to.equal('it computes [-1, NaN] where [-1, 3] is right');
    expect(whyWrong([])).to.include('it computes []');
  });
});
