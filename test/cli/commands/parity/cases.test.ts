import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  filesOf,
  findSources,
  planCases,
  type PlanOptions,
  runCases,
} from '../../../../lib/cli/commands/parity/cases.js';
import { Progress } from '../../../../lib/cli/shared/progress.js';
import {
  type CheckSpec,
  describeFailure,
  FileError,
  GraphError,
  ParityError,
} from '../../../../lib/index.js';
import { decodeSafetensors, encodeSafetensors } from '../../../../lib/weights/safetensors.js';
import { copyModel, TORCH_MODEL } from '../../../support/test-data.js';
import { TORCH_MODULES } from '../../../support/torch-modules.js';
import { Sink, useTemporaryFolder, writeFixture } from '../../support.js';

describe('findSources', () => {
  const at = useTemporaryFolder();
  const touch = (...names: string[]) => names.forEach((name) => writeFileSync(at(name), ''));

  const folders = (...names: string[]) => names.forEach((name) => mkdirSync(at(name), { recursive: true }));
  const findPaths = async (paths: string[]) => (await findSources(paths)).map(({ path }) => path);
  const refusal = async (...paths: string[]): Promise<unknown> =>
    findSources(paths).catch((caught: unknown) => caught);

  it('parity finds the fixtures of a folder and of all folders below, sorted', async () => {
    mkdirSync(at('b/c'), { recursive: true });
    touch('z.safetensors', 'b/y.safetensors', 'b/c/x.safetensors', 'a.safetensors', 'b/report.json');
    expect(await findPaths([at()])).to.deep.equal(
      ['a.safetensors', 'b/c/x.safetensors', 'b/y.safetensors', 'z.safetensors'].map(at),
    );
  });

  it('parity keeps the order of its arguments, and takes a file of any name', async () => {
    mkdirSync(at('b'));
    touch('z.bin', 'b/y.safetensors');
    expect(await findPaths([at('z.bin'), at('b')])).to.deep.equal(['z.bin', 'b/y.safetensors'].map(at));
  });

  it('parity refuses a path that does not exist, even beside one that does', async () => {
    touch('a.safetensors');
    const error: unknown = await refusal(at('a.safetensors'), at('none'));
    expect(error)
      .to.be.instanceOf(FileError)
      .and.to.include({
        code: 'FILE_NOT_FOUND',
        message: `cannot read '${at('none')}': it does not exist; check the path`,
      });
  });

  it('parity calls a path that exists but cannot be followed unreadable, not missing', async function () {
    if (process.platform === 'win32') this.skip();
    symlinkSync('loop', at('loop'));
    const error: unknown = await refusal(at('loop'));
    expect(error).to.be.instanceOf(FileError).and.to.include({ code: 'FILE_UNREADABLE' });
  });

  it('parity runs a file once if two paths lead to it', async () => {
    touch('a.safetensors');
    expect(await findPaths([at('a.safetensors'), at(), at('./x/../a.safetensors')])).to.deep.equal([at('a.safetensors')]); // prettier-ignore
  });

  it('parity refuses a folder without fixtures, even beside a fixture', async () => {
    touch('a.safetensors');
    mkdirSync(at('empty'));
    const error: unknown = await refusal(at('a.safetensors'), at('empty'));
    expect(error).to.be.instanceOf(ParityError).and.to.include({ code: 'NO_FIXTURES' });
  });

  it("parity finds data sets in a model's folder and below, and does not take files for data sets", async () => {
    folders('b/test_data_set_1', 'b/test_data_set_0', 'test_data_sets', 'c');
    touch('a.safetensors', 'b/model.onnx', 'c/test_data_set_0');
    expect(await findSources([at()])).to.deep.equal([
      { path: at('a.safetensors'), isDataSet: false },
      { path: at('b/test_data_set_0'), isDataSet: true },
      { path: at('b/test_data_set_1'), isDataSet: true },
    ]);
  });

  it('parity does not take the activations of a model for a fixture', async () => {
    folders('a/test_data_set_0', 'b');
    touch('a/model.onnx', 'a/activations.safetensors', 'a/test_data_set_0/activations.safetensors');
    touch('b/activations.safetensors');
    expect(await findPaths([at()])).to.deep.equal(['a/test_data_set_0', 'b/activations.safetensors'].map(at));
  });

  it('parity takes the folder of a data set for this data set alone', async () => {
    folders('b/test_data_set_0', 'b/test_data_set_1');
    const source = { path: at('b/test_data_set_1'), isDataSet: true };
    expect(await findSources([at('b/test_data_set_1'), at('b/./test_data_set_1')])).to.deep.equal([source]);
  });

  for (const name of ['model.onnx', 'output_0.pb']) {
    it(`parity refuses the path of ${name}, and says what to name instead`, async () => {
      touch(name);
      const error = await refusal(at(name));
      expect(error)
        .to.be.instanceOf(ParityError)
        .and.to.include({
          code: 'NO_FIXTURES',
          message: `'${at(name)}' is only a part of a test; name the folder that has model.onnx and test_data_set_0`,
        });
    });
  }

  it('filesOf returns the files that a source is read from', async () => {
    folders('b/test_data_set_0');
    touch('b/test_data_set_0/input_0.pb');
    expect(await filesOf({ path: at('a.safetensors'), isDataSet: false })).to.deep.equal([
      at('a.safetensors'),
    ]);
    const files = await filesOf({ path: at('b/test_data_set_0'), isDataSet: true });
    expect(files).to.deep.equal(
      ['b/model.onnx', 'b/activations.safetensors', 'b/test_data_set_0/input_0.pb'].map(at),
    );
  });
});

const plan = (options: Partial<PlanOptions>) => planCases({ opset: [21], ...options }, ['native', 'cpu']);
/** What the sessions of a model are asked for on one provider. */
const asked = (options: Partial<PlanOptions>, opset = 21) =>
  planCases({ opset: [21], ...options }, ['cpu'])
    .dataSets(opset)
    .map(({ groupNorm }) => groupNorm);

describe('planCases', () => {
  it('parity runs a fixture at every opset, with every lowering, on every provider', () => {
    const { fixtures } = plan({ opset: [17, 21], atol: 1 });
    expect(
      fixtures.map(({ opset, lowering, provider, atol }) => [opset, lowering, provider, atol]),
    ).to.deep.equal([
      [17, 'reduce-mean', 'native', 1],
      [17, 'reduce-mean', 'cpu', 1],
      [21, 'op', 'native', 1],
      [21, 'op', 'cpu', 1],
    ]);
  });

  it('parity refuses a lowering that the opset does not have', () => {
    expect(() => plan({ opset: [17], lowering: 'op' })).to.throw(GraphError, "lowering 'op' needs opset");
  });

  it('parity runs a data set once on every provider, whatever --opset says', () => {
    expect(plan({ opset: [17, 21], rtol: 1 }).dataSets(15)).to.deep.equal(
      (['native', 'cpu'] as const).map((provider) => ({
        provider,
        groupNorm: undefined,
        rtol: 1,
        atol: undefined,
      })),
    );
  });

  it('parity asks sessions of a model.onnx for the lowerings of --lowering', () => {
    expect(asked({ lowering: 'layer-norm,op' })).to.deep.equal(['layer-norm', 'op']);
    expect(asked({ lowering: 'all' }, 26)).to.deep.equal([undefined, 'op', 'reduce-mean', 'instance-norm', 'layer-norm']); // prettier-ignore
    expect(asked({ lowering: 'all' }, 17)).to.deep.equal([undefined, 'reduce-mean', 'instance-norm', 'layer-norm']); // prettier-ignore
    expect(asked({ lowering: 'all' }, 9)).to.deep.equal([undefined, 'reduce-mean', 'instance-norm']);
    expect(asked({ lowering: 'all' }, 6)).to.deep.equal([undefined]);
  });

  it('parity --group-norm takes the place of --lowering for a model.onnx', () => {
    expect(asked({ lowering: 'all', groupNorm: 'op' })).to.deep.equal(['op']);
    expect(asked({ groupNorm: 'contrib-group-norm' })).to.deep.equal(['contrib-group-norm']);
  });
});

const SPECS: CheckSpec[] = [
  { lowering: 'op', opset: 21, provider: 'cpu' },
  { lowering: 'layer-norm', opset: 17, provider: 'cpu' },
];

describe('runCases', () => {
  const at = useTemporaryFolder();
  const run = (specs: CheckSpec[], ...names: string[]) =>
    runCases(
      names.map((name) => ({ path: at(name), isDataSet: !name.endsWith('.safetensors') })),
      { fixtures: specs, dataSets: () => [{ provider: 'cpu' }, { provider: 'wasm', groupNorm: 'op' }] },
      new Progress(new Sink()),
    );

  it('parity runs every fixture in every combination, and listens to signals only meanwhile', async () => {
    const listeners = () => [process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')];
    const before = listeners();
    await writeFixture(at('a.safetensors'));
    await writeFixture(at('b.safetensors'), { error: 1 });
    const { results, unreadable, notRun } = await run(SPECS, 'a.safetensors', 'b.safetensors');
    expect(results.map(({ file, lowering, opset, passed }) => [file, lowering, opset, passed])).to.deep.equal(
      [
        [at('a.safetensors'), 'op', 21, true],
        [at('a.safetensors'), 'layer-norm', 17, true],
        [at('b.safetensors'), 'op', 21, false],
        [at('b.safetensors'), 'layer-norm', 17, false],
      ],
    );
    expect([unreadable, notRun]).to.deep.equal([0, 0]);
    expect(listeners()).to.deep.equal(before);
  });

  it('parity counts a file that is not a fixture as one failed case, with the reason', async () => {
    writeFileSync(at('none.safetensors'), 'no fixture');
    await writeFixture(at('a.safetensors'));
    const { results, unreadable } = await run(
      SPECS,
      'none.safetensors',
      'missing.safetensors',
      'a.safetensors',
    );
    expect(results.map(({ error }) => error?.code)).to.deep.equal([
      'SAFETENSORS_INVALID',
      'FILE_NOT_FOUND',
      undefined,
      undefined,
    ]);
    expect(results[0]).to.include({ graph: 'unknown', passed: false, milliseconds: 0 });
    expect(unreadable).to.equal(2);
  });

  it("parity marks a fixture that allows more than the dtype's default, unless an option sets the tolerance", async () => {
    // float32: rtol 1.3e-6, atol 1e-5.
    await writeFixture(at('loose.safetensors'), { metadata: { atol: '1e-4' } });
    await writeFixture(at('tight.safetensors'), { metadata: { atol: '1e-6', rtol: '1.3e-6' } });
    const files = ['loose.safetensors', 'tight.safetensors'];
    expect([...(await run(SPECS, ...files)).loose]).to.deep.equal([at('loose.safetensors')]);
    const strict = SPECS.map((spec) => ({ ...spec, atol: 1e-5 }));
    expect([...(await run(strict, ...files)).loose]).to.deep.equal([]);
  });

  it('parity runs a data set in its own combinations, at the opset of its model, beside fixtures', async () => {
    await writeFixture(at('a.safetensors'));
    copyModel(TORCH_MODEL, at('torch'));
    const { results } = await run(SPECS.slice(1), 'a.safetensors', 'torch/test_data_set_0');
    expect(
      results.map(({ graph, lowering, opset, provider }) => [graph, lowering, opset, provider]),
    ).to.deep.equal([
      ['group-norm', 'layer-norm', 17, 'cpu'],
      ['torch', 'default', 21, 'cpu'],
      ['torch', 'op', 21, 'wasm'],
    ]);
    expect(results.map(describeFailure)).to.deep.equal(['', '', '']);
  });

  it('parity searches the layer that drifts once for each source, in the first case that fails', async () => {
    const tensors = decodeSafetensors(readFileSync(TORCH_MODULES('fixture.safetensors')));
    const weight = tensors.tensors.get('state_dict.gn2.weight')!;
    (weight.data as Float32Array)[3]! *= 1.05;
    writeFileSync(at('block.safetensors'), Buffer.concat(encodeSafetensors(tensors)));
    const plan = { fixtures: SPECS, dataSets: () => [] };
    const search = (bisect: boolean) =>
      runCases(
        [{ path: at('block.safetensors'), isDataSet: false }],
        { ...plan, bisect },
        new Progress(new Sink()),
      );
    const { results } = await search(true);
    expect(results.map(({ passed, drift }) => [passed, drift?.module])).to.deep.equal([
      [false, 'gn2'],
      [false, undefined],
    ]);
    const [line, drift] = describeFailure(results[0]!).split('\n');
    expect(line).to.match(/^output 'y': /);
    expect(drift).to.match(/^drift begins at gn2 /);
    expect((await search(false)).results.map(({ drift }) => drift)).to.deep.equal([undefined, undefined]);
  });

  it('parity counts a data set that cannot be read as one failed case of its model', async () => {
    const { results, unreadable } = await run(SPECS, 'net/test_data_set_0');
    const model = at('net/model.onnx');
    expect(results).to.have.length(1);
    expect(results[0]).to.include({ graph: 'net', model, lowering: 'default', opset: 0, passed: false });
    expect([results[0]!.error?.code, unreadable]).to.deep.equal(['FILE_NOT_FOUND', 1]);
  });
});
