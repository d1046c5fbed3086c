import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { nameOf } from '../../../../lib/cli/commands/export/triton.js';
import { encodeModel, getGraph, initializeWeights } from '../../../../lib/index.js';
import { Model } from '../../../../lib/onnx/model.js';
import { writeModel } from '../../../../lib/onnx/write.js';
import { declared, intAttribute, node, smallModel } from '../../../support/small-model.js';
import { onnx, useTemporaryFolder } from '../../support.js';

const gn = (): Uint8Array => {
  const graph = getGraph('group-norm').build({ numGroups: 4, numChannels: 8 });
  return encodeModel(graph, initializeWeights(graph));
};

describe('export-triton', () => {
  const at = useTemporaryFolder();
  const triton = (...flags: string[]) => onnx('export-triton', at('in.onnx'), '-o', at('models'), ...flags);
  const config = (name = 'in') => readFileSync(at(`models/${name}/config.pbtxt`), 'utf8');

  it('export-triton writes a model that Triton can run: no GroupNormalization, a configuration and a README', async () => {
    writeFileSync(at('in.onnx'), gn());
    const { code, stdout, stderr } = await triton(
      '--dim',
      'H=3,W=5',
      '--max-queue-delay',
      '2',
      '--instances',
      '3',
      '--device',
      'cpu',
    );
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.include(
      'max_batch_size 8: each of 3 random samples has the same answer alone and in a batch (with H=3, W=5)\n',
    );
    expect(readdirSync(at('models/in')).sort()).to.deep.equal(['1', 'README.md', 'config.pbtxt']);
    const { nodes } = Model.decode(readFileSync(at('models/in/1/model.onnx')));
    expect(nodes.map(({ opType }) => opType))
      .to.include('ReduceMean')
      .and.not.to.include('GroupNormalization');
    expect(config()).to.match(
      /max_batch_size: 8[^]*dims: \[ 8, -1, -1 \][^]*max_queue_delay_microseconds: 2000[^]*count: 3\n +kind: KIND_CPU/,
    );
    expect(readFileSync(at('models/in/README.md'), 'utf8')).to.include(
      'http.InferInput("x", [1,8,3,5], "FP32")',
    );
  });

  it('export-triton writes GroupNorm as --lowering says', async () => {
    writeFileSync(at('in.onnx'), gn());
    expect((await triton('--lowering', 'layer-norm')).code).to.equal(0);
    const { nodes } = Model.decode(readFileSync(at('models/in/1/model.onnx')));
    expect(nodes.map(({ opType }) => opType)).to.include('LayerNormalization');
  });

  it('export-triton does not batch a model whose samples change each other, and says so', async () => {
    writeFileSync(at('in.onnx'), smallModel([node('Softmax', 'x', 'y', intAttribute('axis', 0))]));
    const { code, stdout } = await triton();
    expect(code).to.equal(0);
    expect(stdout).to.match(
      /max_batch_size 0: output 'y' of a sample changes by up to .* with the samples beside it\n/,
    );
    expect(config()).to.include('max_batch_size: 0').and.not.to.include('dynamic_batching');
    const asked = await triton('--max-batch-size', '4', '--name', 'other');
    expect([asked.code, existsSync(at('models/other'))]).to.deep.equal([2, false]);
    expect(asked.stderr).to.match(/^error: --max-batch-size 4: output 'y' of a sample changes/);
  });

  it('export-triton does not batch a model that declares a fixed batch', async () => {
    const fixed = { input: [declared('x', 'float32', [1, 4])], output: [declared('y', 'float32', [1, 4])] };
    writeFileSync(at('in.onnx'), smallModel([node('Relu', 'x', 'y')], fixed));
    expect((await triton()).stdout).to.include(
      "max_batch_size 0: input 'x' has the shape [1, 4], whose first size is fixed",
    );
    expect(config()).to.include('dims: [ 1, 4 ]');
    expect((await triton('--max-batch-size', '2', '--overwrite')).code).to.equal(2);
  });

  it('export-triton puts a model with weights in files of their own into a folder of the name model.onnx', async () => {
    const graph = getGraph('group-norm').build(
      { numGroups: 4, numChannels: 2048 },
      { shape: ['N', 2048, 2, 2] },
    );
    await writeModel(at('in.onnx'), graph, initializeWeights(graph), { externalData: true });
    expect((await triton()).code).to.equal(0);
    expect(readdirSync(at('models/in/1/model.onnx')).sort()).to.deep.equal(['in.onnx.data', 'model.onnx']);
  });

  it('export-triton switches the optimizations of ONNX Runtime off for a Pad before a pool', async () => {
    const pads = node('MaxPool', 'x', 'y', { name: 'kernel_shape', type: 7, ints: [1, 1] });
    const shape = declared('y', 'float32', ['N', 1, 4, 4]);
    const model = smallModel([node('Pad', 'x pads', 'p'), { ...pads, input: ['p'] }], {
      input: [declared('x', 'float32', ['N', 1, 4, 4])],
      output: [shape],
      weights: { pads: { dtype: 'int64', dims: [8], data: new BigInt64Array(8) } },
    });
    writeFileSync(at('in.onnx'), model);
    const { stdout } = await triton();
    expect(stdout).to.include('optimizations are off in config.pbtxt');
    expect(config()).to.include('level: 2');
  });

  it('export-triton copies labels for the output that has as many classes', async () => {
    writeFileSync(at('in.onnx'), smallModel([node('Relu', 'x', 'y')]));
    writeFileSync(at('labels.csv'), 'cat\ndog\nowl\nfox\n');
    expect((await triton('--labels', at('labels.csv'))).code).to.equal(0);
    expect(config()).to.include('label_filename: "labels.txt"');
    expect(readFileSync(at('models/in/labels.txt'), 'utf8')).to.equal('cat\ndog\nowl\nfox\n');
    writeFileSync(at('labels.csv'), 'cat\ndog\n');
    const { code, stderr } = await triton('--labels', at('labels.csv'), '--overwrite');
    expect([code, stderr]).to.deep.equal([
      2,
      `error: --labels: ${at('labels.csv')} has 2 lines, and no output has a dimension of 2\n`,
    ]);
  });

  it('export-triton does not replace a configuration that someone may have edited, unless it is told to', async () => {
    writeFileSync(at('in.onnx'), gn());
    mkdirSync(at('models/in'), { recursive: true });
    writeFileSync(at('models/in/config.pbtxt'), 'edited');
    const { code, stderr } = await triton();
    expect([code, config()]).to.deep.equal([2, 'edited']);
    expect(stderr).to.include('--overwrite replaces it');
    expect((await triton('--overwrite')).code).to.equal(0);
    expect(config()).to.include('max_batch_size: 8');
  });

  it('export-triton refuses bad input in a line, and writes nothing', async () => {
    for (const [bytes, flags, message] of [
      [new TextEncoder().encode('{"a": 1}'), [], /JSON/],
      [gn().subarray(0, 60), [], /in\.onnx/],
      [gn(), ['--dim', 'Z=4'], /--dim Z: no input leaves a dimension of this name open; the names are H, W/],
      [gn(), ['--name', '../up'], /It must begin with a letter or digit/],
      [gn(), ['--max-batch-size', '-1'], /at least 0/],
      [gn(), ['--device', 'tpu'], /Allowed choices are auto, cpu, gpu/],
    ] as const) {
      writeFileSync(at('in.onnx'), bytes);
      const { code, stderr } = await triton(...flags);
      expect([code, existsSync(at('models'))], stderr).to.deep.equal([2, false]);
      expect(stderr).to.match(message);
    }
  });
});

describe('nameOf', () => {
  it('nameOf makes a name for a folder and a URL of any name of a file', () => {
    for (const [path, name] of [
      ['a/model.onnx', 'model'],
      ['a/räder 2.onnx', 'r_der_2'],
      ['__x.onnx', 'x'],
      ['模型.onnx', 'model'],
    ] as const)
      expect(nameOf(path)).to.equal(name);
  });
});
