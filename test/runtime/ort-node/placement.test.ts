import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { SELF_TEST_INPUT, selfTestModel, selfTestProblem } from '../../../lib/runtime/session/self-test.js';
import { selfTestInChild, withoutSource } from '../../../lib/runtime/ort-node/accelerators.js';
import { loadOnNode, type NodeModel, type NodeOptions } from '../../../lib/runtime/ort-node/model.js';
import { loadWithPlacementCheck, placements } from '../../../lib/runtime/ort-node/placement.js';
import { modelToLoad } from '../../support/model-to-load.js';
import { rejection } from '../../support/temporary.js';

describe('runtime/ort-node/placement', () => {
  it("placements counts the nodes of a profile by provider, without the session's own events", () => {
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

  /** Loads a model on the CPU as if it were another provider, which leaves everything to the CPU. */
  const load = async (runtimeName: string) => {
    const asked: NodeOptions[] = [];
    const model = await loadWithPlacementCheck(runtimeName, {}, (options): Promise<NodeModel> => {
      asked.push(options);
      return loadOnNode('cpu', modelToLoad(selfTestModel('reduce-mean')), undefined, options);
    });
    expect(asked.map(({ cpuFallback }) => cpuFallback)).to.deep.equal([false, undefined]);
    return { model, folder: asked[1]!.profileFilePrefix!.replace(/run$/, '') };
  };

  it('a model that runs on the provider as a whole is loaded once, and not profiled', async () => {
    const asked: NodeOptions[] = [];
    const model = await loadWithPlacementCheck('CUDAExecutionProvider', {}, (options): Promise<NodeModel> => {
      asked.push(options);
      return loadOnNode('cpu', modelToLoad(selfTestModel('reduce-mean')), undefined, {
        ...options,
        cpuFallback: true,
      });
    });
    expect(asked).to.deep.equal([{ cpuFallback: false }]);
    expect(
      selfTestProblem((await model.run({ x: SELF_TEST_INPUT }, { fetches: ['y'] })).y!.data as Float32Array),
    ).to.be.undefined;
    await model.dispose();
  });

  it("a caller's own profile is the only profile: the model is loaded once, with the caller's options", async () => {
    const asked: NodeOptions[] = [];
    const options = { profileFilePrefix: 'mine' };
    await rejection(
      loadWithPlacementCheck('CUDAExecutionProvider', options, (all) => {
        asked.push(all);
        return Promise.reject(new Error('enough'));
      }),
    );
    expect(asked).to.deep.equal([options]);
  });

  it('a model whose nodes ran on the provider runs twice, and leaves no profile behind', async () => {
    const { model, folder } = await load('CPUExecutionProvider');
    expect(existsSync(folder)).to.be.true;
    for (let run = 0; run < 2; run++) {
      expect(
        selfTestProblem(
          (await model.run({ x: SELF_TEST_INPUT }, { fetches: ['y'] })).y!.data as Float32Array,
        ),
      ).to.be.undefined;
      expect(existsSync(folder)).to.be.false;
    }
    await model.dispose();
  });

  it('a model whose nodes all ran on the CPU is refused at every run', async () => {
    const { model } = await load('CUDAExecutionProvider');
    for (let run = 0; run < 2; run++) {
      const error = await rejection(model.run({ x: SELF_TEST_INPUT }, { fetches: ['y'] }));
      expect(error).to.be.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
      expect((error as Error).message).to.match(
        /did not place a node .* on CUDAExecutionProvider \(nodes per provider: CPUExecutionProvider \d+\); ask for the provider 'cpu'/,
      );
    }
    await model.dispose();
  });

  it('a model that never runs leaves no profile behind after dispose', async () => {
    const { model, folder } = await load('CUDAExecutionProvider');
    await model.dispose();
    expect(existsSync(folder)).to.be.false;
  });

  it('a model is refused if its profile is missing', async () => {
    const { model, folder } = await load('CPUExecutionProvider');
    await rm(folder, { recursive: true });
    const error = await rejection(model.run({ x: SELF_TEST_INPUT }, { fetches: ['y'] }));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
    expect((error as Error).message).to.match(
      /Only a profile shows .*, and there is no profile in .*\. Set TMPDIR to a folder that can be written/,
    );
    await model.dispose();
  });
});

describe('runtime/ort-node/accelerators: the self-test in a child process', () => {
  it('selfTestInChild fails if ONNX Runtime would run the model on the CPU', async () => {
    expect(await selfTestInChild('cpu')).to.match(
      /assigned to the default CPU EP, but fallback to CPU EP has been/,
    );
  });

  it('selfTestInChild reports the error of ONNX Runtime for an unknown provider', async () => {
    expect(await selfTestInChild('abacus')).to.include('[abacus] backend not found');
  });

  it('withoutSource keeps what failed in CUDA, and drops the source file', () => {
    const said =
      '/onnxruntime_src/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void> onnxruntime::CudaCall() ' +
      'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm ; file=x';
    expect(withoutSource(said)).to.equal(
      'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
    );
    expect(withoutSource('session.cc:12 condition was false. It is not there')).to.equal('It is not there');
  });

  it('selfTestProblem tells a right result from a wrong one', () => {
    expect(selfTestProblem([-1, 3])).to.be.undefined;
    expect(selfTestProblem([-1, NaN])).to.equal('it computes [-1, NaN] instead of [-1, 3]');
    expect(selfTestProblem([])).to.include('it computes []');
  });
});
