import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Report } from '../../../../lib/index.js';
import {
  copyModel,
  DIFFERENCE,
  floatFile,
  ONNX_MODEL,
  TORCH_MODEL,
  writeDifference,
} from '../../../support/test-data.js';
import { GROUP_NORM, onnx, parseXml, useTemporaryFolder, writeFixture } from '../../support.js';

describe('parity', () => {
  const at = useTemporaryFolder();
  const jsonReport = async (...flags: string[]): Promise<Report> => {
    const { stdout } = await onnx('parity', at(), '--json', '-', ...flags);
    return JSON.parse(stdout) as Report;
  };

  it('parity exits 0 if every case passed, and prints a table with a row for each case, and a count', async () => {
    await writeFixture(at('one.safetensors'));
    mkdirSync(at('deeper'));
    await writeFixture(at('deeper/two.safetensors'), { affine: false });
    const { code, stdout, stderr } = await onnx('parity', at());
    expect([code, stderr]).to.deep.equal([0, '']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).to.match(/^2 fixtures in .* on cpu: 2 cases$/);
    expect(lines[2]).to.match(
      /^case +lowering +opset +max abs +max rel +of tolerance +to float64.* +time +result$/,
    );
    expect(lines[3]).to.match(
      new RegExp(
        `^deeper/two +op → ${GROUP_NORM} +21 +\\S+ +\\S+ +[\\d.]+ % +\\S+ / \\S+ +[\\d.]+ ms +passed$`,
      ),
    );
    expect(lines[4]).to.match(new RegExp(`^one +op → ${GROUP_NORM} +21 `));
    expect(lines.at(-1)).to.equal('2 passed, 0 failed');
  });

  it('parity exits 1 if a case failed, and prints which, where and by how much', async () => {
    await writeFixture(at('good.safetensors'));
    await writeFixture(at('wrong.safetensors'), { error: 0.5 });
    const { code, stdout } = await onnx('parity', at());
    expect(code).to.equal(1);
    expect(stdout)
      .to.match(/^good .* passed$/m)
      .and.to.match(/^wrong .* FAILED$/m);
    expect(stdout).to.include(`FAILED ${at('wrong.safetensors')} (op → ${GROUP_NORM}, opset 21)`);
    const worst =
      /^ {2}output 'y': 1 of 72 elements are beyond the tolerance, the element at index \[0, 0, 0, 0\] the most: it is (\S+), expected (\S+); largest difference 5\.0e-1/m;
    const [actual, expected] = worst.exec(stdout)!.slice(1).map(Number) as [number, number];
    expect(expected - actual).to.be.closeTo(0.5, 1e-6);
    expect(stdout.trimEnd().split('\n').at(-1)).to.equal('1 passed, 1 failed');
  });

  it("parity --group-norm op shows that ONNX Runtime's own operator drifts from PyTorch", async () => {
    const file = fileURLToPath(
      new URL('../../../fixtures/group-norm/net-unet-mean-300.safetensors', import.meta.url),
    );
    expect((await onnx('parity', file)).code).to.equal(0);
    expect((await onnx('parity', file, '--group-norm', 'op')).code).to.equal(1);
    expect((await onnx('parity', file, '--group-norm', 'ops')).stderr).to.include("did you mean 'op'");
  });

  it('parity runs on several providers, and names the provider of each case', async () => {
    await writeFixture(at('one.safetensors'));
    const { code, stdout } = await onnx('parity', at(), '--provider', 'wasm,cpu');
    expect(code).to.equal(0);
    expect(stdout).to.match(/ on wasm, cpu: 2 cases$/m);
    expect(stdout).to.match(/^one +op → reduce-mean +wasm +21 .* passed$/m);
    expect(stdout).to.match(new RegExp(`^one +op → ${GROUP_NORM} +cpu +21 .* passed$`, 'm'));
    await writeFixture(at('one.safetensors'), { error: 0.5 });
    expect((await onnx('parity', at(), '--provider', 'wasm,cpu')).stdout).to.include(
      '(op → reduce-mean, opset 21, wasm)',
    );
  });

  it('parity fails the cases of a provider that this machine lacks, and never runs them on another', async () => {
    const absent = process.platform === 'win32' ? 'coreml' : 'dml';
    const line = new RegExp(`^NOT RUN on ${absent}: onnxruntime-node has no ${absent} for `, 'm');
    await writeFixture(at('one.safetensors'));
    const named = await onnx('parity', at(), '--provider', `${absent},cpu`);
    expect(named.code).to.equal(1);
    expect(named.stdout)
      .to.match(line)
      .and.to.match(/^1 passed, 1 failed$/m);
    const alone = await onnx('parity', at(), '--provider', absent);
    expect(alone.code).to.equal(1);
    expect(alone.stdout)
      .to.match(line)
      .and.to.match(/^0 passed, 1 failed$/m);
    const all = await onnx('parity', at(), '--provider', 'all');
    expect(all.code).to.equal(0);
    expect(all.stdout).to.match(line);
    const { notRun, failed, cases } = await jsonReport('--provider', absent);
    expect(notRun?.map(({ provider }) => provider)).to.deep.equal([absent]);
    // Whoever reads the report alone must not take it for a pass.
    expect(failed).to.equal(1);
    expect(cases[0]).to.include({ graph: 'group-norm', provider: absent, passed: false });
    expect(cases[0]!.error).to.deep.equal({
      code: 'PROVIDER_UNAVAILABLE',
      message: `${absent} does not work on this machine; 'npx onnx-groupnorm doctor' says what is missing`,
    });
  });

  it('parity --rtol and --atol take the place of all other tolerances', async () => {
    await writeFixture(at('wrong.safetensors'), { error: 0.5 });
    expect((await onnx('parity', at(), '--atol', '1')).code).to.equal(0);
    await writeFixture(at('loose.safetensors'), { error: 0.5, metadata: { atol: '1' } });
    expect((await onnx('parity', at('loose.safetensors'))).code).to.equal(0);
    expect((await onnx('parity', at('loose.safetensors'), '--atol', '1e-5', '--rtol', '1e-5')).code).to.equal(
      1,
    );
  });

  it('parity exits 2 for a damaged file and for a file that is not a fixture, and runs the others', async () => {
    await writeFixture(at('good.safetensors'));
    await writeFixture(at('no-graph.safetensors'), { metadata: { graph: undefined } });
    writeFileSync(at('damaged.safetensors'), readFileSync(at('good.safetensors')).subarray(0, 400));
    const { code, stdout } = await onnx('parity', at());
    expect(code).to.equal(2);
    expect(stdout)
      .to.match(/^good .* passed$/m)
      .and.to.match(/^damaged +op +21 +– +– +– +– +– +FAILED$/m);
    expect(stdout).to.match(
      /FAILED .*damaged\.safetensors .*\n +SAFETENSORS_INVALID: .* is not a valid safetensors/,
    );
    expect(stdout).to.match(/FAILED .*no-graph\.safetensors .*\n +FIXTURE_INVALID: .* has no 'graph'/);
    expect(stdout).to.include('1 passed, 2 failed');
  });

  it('parity refuses a path that does not exist before it runs a case', async () => {
    await writeFixture(at('good.safetensors'));
    const { code, stdout, stderr } = await onnx('parity', at('good.safetensors'), at('none.safetensors'));
    expect([code, stdout, stderr]).to.deep.equal([
      2,
      '',
      `error: cannot read '${at('none.safetensors')}': it does not exist; check the path\n`,
    ]);
  });

  it('parity counts an unreadable file as one failed case, however many combinations there are', async () => {
    writeFileSync(at('damaged.safetensors'), 'no tensors');
    const { cases } = await jsonReport('--lowering', 'all', '--opset', '17,21');
    expect(cases.map(({ error }) => error!.code)).to.deep.equal(['SAFETENSORS_INVALID']);
  });

  it('parity marks a fixture that allows more than the default, unless an option sets the tolerance', async () => {
    await writeFixture(at('loose.safetensors'), { metadata: { atol: '1e-3' } });
    await writeFixture(at('strict.safetensors'), { metadata: { atol: '1e-5' } });
    const { stdout } = await onnx('parity', at());
    expect(stdout)
      .to.match(/^loose .*e-\d\* .* passed$/m)
      .and.to.match(/^strict [^*]* passed$/m)
      .and.to.include('* the fixture has a larger tolerance than torch.testing.assert_close');
    expect((await onnx('parity', at(), '--atol', '1e-2')).stdout).not.to.include('*');
  });

  it('parity refuses a report that cannot be written before it runs a case', async () => {
    await writeFixture(at('one.safetensors'));
    const { code, stdout, stderr } = await onnx('parity', at(), '--json', at());
    expect([code, stdout]).to.deep.equal([2, '']);
    expect(stderr).to.equal(`error: cannot write '${at()}': it is a folder; name a file\n`);
    const same = await onnx('parity', at(), '--json', at('r'), '--junit', at('r'));
    expect(same.stderr).to.include('--json and --junit both name');
  });

  it('parity counts a case that cannot run as failed', async () => {
    await writeFixture(at('unknown.safetensors'), { metadata: { graph: 'grup-norm' } });
    await writeFixture(at('more.safetensors'), { outputs: ['y', 'z'] });
    const report = await jsonReport();
    expect([report.passed, report.failed]).to.deep.equal([0, 2]);
    expect(report.cases.map(({ passed, error }) => [passed, error!.code])).to.deep.equal([
      [false, 'OUTPUT_MISSING'],
      [false, 'UNKNOWN_GRAPH'],
    ]);
    expect((await onnx('parity', at())).code).to.equal(1);
  });

  it('parity --lowering all runs every lowering that the opset has, for each opset', async () => {
    await writeFixture(at('one.safetensors'));
    const { cases } = await jsonReport('--lowering', 'all', '--opset', '13,17,21');
    expect(cases.map(({ opset, lowering }) => `${opset} ${lowering}`)).to.deep.equal([
      '13 reduce-mean',
      '13 instance-norm',
      '17 reduce-mean',
      '17 instance-norm',
      '17 layer-norm',
      '21 op',
      '21 reduce-mean',
      '21 instance-norm',
      '21 layer-norm',
    ]);
    expect(cases.every(({ passed }) => passed)).to.be.true;
  });

  it('parity --lowering takes several names', async () => {
    await writeFixture(at('a.safetensors'));
    const { cases } = await jsonReport('--lowering', 'layer-norm, op,layer-norm');
    expect(cases.map(({ lowering }) => lowering)).to.deep.equal(['layer-norm', 'op']);
    const { code, stderr } = await onnx('parity', at(), '--lowering', 'op,layernorm');
    expect(code).to.equal(2);
    expect(stderr).to.include("unknown lowering 'layernorm': did you mean 'layer-norm'");
  });

  it('parity without --lowering runs the lowering that build chooses for each opset', async () => {
    await writeFixture(at('one.safetensors'));
    const { cases } = await jsonReport('--opset', '18,25');
    expect(cases.map(({ opset, lowering }) => [opset, lowering])).to.deep.equal([
      [18, 'reduce-mean'],
      [25, 'op'],
    ]);
  });

  it('parity --json writes the documented fields', async () => {
    await writeFixture(at('one.safetensors'), { error: 0.5 });
    await onnx('parity', at(), '--json', at('report.json'));
    const report = JSON.parse(readFileSync(at('report.json'), 'utf8')) as Report;
    expect(report).to.have.all.keys('passed', 'failed', 'cases');
    const [one] = report.cases;
    expect(one).to.include({
      file: at('one.safetensors'),
      graph: 'group-norm',
      lowering: 'op',
      opset: 21,
      provider: 'cpu',
      passed: false,
    });
    const [y] = one!.outputs;
    expect(y).to.include({ name: 'y', mismatched: 1, elements: 72 });
    expect(y!.worstIndex).to.deep.equal([0, 0, 0, 0]);
    for (const key of [
      'maxAbs',
      'maxRel',
      'maxUlp',
      'worstActual',
      'worstExpected',
      'toleranceUsed',
      'distanceToTruth',
      'referenceDistanceToTruth',
    ] as const) {
      expect(y![key], key).to.be.a('number');
    }
    expect(y!.maxAbs).to.be.closeTo(0.5, 1e-5);
    expect(y!.referenceDistanceToTruth).to.be.closeTo(0.5, 1e-5);
  });

  it('parity --json - writes only the JSON to stdout, and the table to stderr', async () => {
    await writeFixture(at('one.safetensors'));
    const { code, stdout, stderr } = await onnx('parity', at(), '--json', '-');
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ passed: 1, failed: 0 });
    expect(stderr)
      .to.match(/^one .* passed$/m)
      .and.to.include('1 passed, 0 failed');
  });

  it('parity --junit writes the failures', async () => {
    await writeFixture(at('good.safetensors'));
    await writeFixture(at('wrong.safetensors'), { error: 0.5 });
    await onnx('parity', at(), '--junit', at('report.xml'));
    const root = parseXml(readFileSync(at('report.xml'), 'utf8'));
    expect(root.attributes).to.include({ tests: '2', failures: '1' });
    const [good, wrong] = root.children[0]!.children;
    expect(good!.children).to.deep.equal([]);
    expect(wrong!.children[0]!.attributes.message).to.include(
      "output 'y': 1 of 72 elements are beyond the tolerance",
    );
  });

  it('parity replaces older reports, and makes missing folders', async () => {
    await writeFixture(at('one.safetensors'));
    writeFileSync(at('report.xml'), 'old');
    await onnx('parity', at(), '--junit', at('report.xml'), '--json', at('new/report.json'));
    expect(readFileSync(at('report.xml'), 'utf8')).to.match(/^<\?xml/);
    expect(existsSync(at('new/report.json'))).to.be.true;
  });

  describe('parity of existing models', () => {
    it('parity checks data sets beside fixtures, each in its own row', async () => {
      await writeFixture(at('one.safetensors'));
      copyModel(TORCH_MODEL, at('torch'));
      const { code, stdout } = await onnx('parity', at());
      expect(code).to.equal(0);
      expect(stdout)
        .to.match(/^1 fixture and 2 data sets in .* on cpu: 3 cases$/m)
        .and.to.match(
          new RegExp(`^torch/test_data_set_1 +default → ${GROUP_NORM} +21 .* – +[\\d.]+ ms +passed$`, 'm'),
        )
        .and.not.to.include('--opset');
      expect(stdout.trimEnd().split('\n').at(-1)).to.equal('3 passed, 0 failed');
    });

    it('parity exits 1 if an element of a data set differs, and 2 if a file is damaged or missing', async () => {
      const folder = writeDifference(at('net'), { ...DIFFERENCE, 'output_1.pb': floatFile('', [1, 2.5]) });
      const wrong = await onnx('parity', at());
      expect(wrong.code).to.equal(1);
      expect(wrong.stdout).to.include(
        "output 'z': 1 of 2 elements are beyond the tolerance, the element at index [1] the most: it is 2, expected 2.5;",
      );
      expect((await onnx('parity', at(), '--atol', '0.5')).code).to.equal(0);
      writeFileSync(join(folder, 'output_1.pb'), floatFile('', [1, 2]).subarray(0, 9));
      const damaged = await onnx('parity', at(), '--lowering', 'all');
      expect(damaged.code).to.equal(2);
      expect(damaged.stdout)
        .to.match(/^net\/test_data_set_0 +default +– +– .* FAILED$/m)
        .and.to.match(/TENSOR_INVALID: .*output_1\.pb: this is not a TensorProto/)
        .and.to.match(/^0 passed, 1 failed$/m);
      rmSync(at('net/model.onnx'));
      const missing = await onnx('parity', at());
      expect(missing.code).to.equal(2);
      expect(missing.stdout).to.include('its model must be beside it');
    });

    it('parity runs a model.onnx at its own opset, with the lowerings of --lowering, whatever --opset says', async () => {
      copyModel(ONNX_MODEL, at('net'));
      const { code, stdout, stderr } = await onnx('parity', at(), '--lowering', 'all', '--opset', '17,21', '--json', '-'); // prettier-ignore
      expect(code).to.equal(0);
      const { cases } = JSON.parse(stdout) as Report;
      expect(cases.map(({ lowering, opset, groupNorm }) => [lowering, opset, groupNorm])).to.deep.equal([
        ['default', 21, GROUP_NORM],
        ['op', 21, undefined],
        ['reduce-mean', 21, 'reduce-mean'],
        ['instance-norm', 21, 'instance-norm'],
        ['layer-norm', 21, 'layer-norm'],
      ]);
      expect(stderr).to.include(
        '--opset applies only to models that are built; a model.onnx keeps its opset',
      );
      expect(cases[0]).to.include({
        file: at('net/test_data_set_0'),
        graph: 'net',
        model: at('net/model.onnx'),
      });
      expect(cases[0]!.outputs[0]).not.to.have.property('distanceToTruth');
    });

    it('parity runs a model.onnx on each provider, with the one lowering of --group-norm', async () => {
      copyModel(TORCH_MODEL, at('net'));
      const { cases } = await jsonReport(
        '--provider',
        'cpu,wasm',
        '--group-norm',
        'layer-norm',
        '--lowering',
        'all',
      );
      expect(cases.map(({ lowering, provider, passed }) => [lowering, provider, passed])).to.deep.equal([
        ['layer-norm', 'cpu', true],
        ['layer-norm', 'wasm', true],
        ['layer-norm', 'cpu', true],
        ['layer-norm', 'wasm', true],
      ]);
    });

    it('parity --junit writes a suite for a model.onnx', async () => {
      copyModel(TORCH_MODEL, at('net'));
      await onnx('parity', at(), '--junit', at('report.xml'));
      const root = parseXml(readFileSync(at('report.xml'), 'utf8'));
      expect(root.attributes).to.include({ tests: '2', failures: '0' });
      expect(root.children.map(({ attributes }) => attributes.name)).to.deep.equal(['net']);
    });

    it('parity refuses to overwrite a model.onnx or a file of a data set', async () => {
      copyModel(TORCH_MODEL, at('net'));
      for (const file of ['net/model.onnx', 'net/test_data_set_0/input_0.pb']) {
        const { code, stderr } = await onnx('parity', at(), '--json', at(file));
        expect(code).to.equal(2);
        expect(stderr).to.include(`--json would overwrite '${at(file)}', which is part of a data set`);
      }
    });

    it('parity refuses the path of a model.onnx, and asks for its folder', async () => {
      const { code, stderr } = await onnx('parity', join(TORCH_MODEL, 'model.onnx'));
      expect(code).to.equal(2);
      expect(stderr).to.include('name the folder that has model.onnx and test_data_set_0');
    });
  });

  describe('parity with bad usage', () => {
    const cases: [flags: string[], message: RegExp][] = [
      [[], /missing required argument 'fixtures'/],
      [['--lowering', 'layernorm'], /unknown lowering 'layernorm': did you mean 'layer-norm'/],
      [['--lowering', 'op', '--opset', '17'], /lowering 'op' needs opset/],
      [['--opset', '12'], /opset 12 is not supported; allowed: 13 to 25/],
      [['--opset', '17;21'], /'--opset <n>' argument '17;21' is invalid/],
      [['--provider', 'cpuu'], /unknown execution provider 'cpuu': did you mean 'cpu'/],
      [['--rtol', '-1'], /It must be at least 0/],
      [['--atol', 'small'], /It must be a number/],
      [['--lowerings', 'all'], /unknown option '--lowerings'\n\(Did you mean --lowering\?\)/],
    ];
    for (const [flags, message] of cases) {
      it(`parity refuses: parity ${flags.join(' ')}`, async () => {
        await writeFixture(at('one.safetensors'));
        const { code, stdout, stderr } = await onnx('parity', ...(flags.length > 0 ? [at()] : []), ...flags);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(message);
      });
    }

    it('parity refuses a folder without fixtures', async () => {
      const { code, stderr } = await onnx('parity', at());
      expect([code, stderr]).to.deep.equal([
        2,
        `error: folder '${at()}' has no .safetensors file and no model.onnx with a test_data_set_0, nor do the folders below it; 'npx onnx-groupnorm parity --help' has the commands that make one\n`,
      ]);
    });
  });
});
