import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../../../lib/onnx/model.js';
import { ModelProto, TensorProto } from '../../../../lib/onnx/protobuf/proto.js';
import { externalFiles } from '../../../../lib/onnx/protobuf/tensor-walk.js';
import { openSafetensors, writeSafetensors } from '../../../../lib/weights/safetensors-file.js';
import { onnx, useTemporaryFolder } from '../../support.js';

const sample = (name: string) =>
  fileURLToPath(new URL(`../../../samples/batch-norm/${name}`, import.meta.url));

describe('convert --batch-norm-to-group-norm', () => {
  const at = useTemporaryFolder();
  const convert = (...flags: string[]) =>
    onnx('convert', at('in.onnx'), '-o', at('out.onnx'), '--batch-norm-to-group-norm', ...flags);

  it('convert --batch-norm-to-group-norm writes the model, a table of its modules, and that it must be trained', async () => {
    copyFileSync(sample('rows-dynamo.onnx'), at('in.onnx'));
    const { code, stdout, stderr } = await convert();
    expect(code).to.equal(0);
    expect(stdout.split('\n').slice(1)).to.deep.equal([
      '2 BatchNormalization became GroupNormalization, with scale 1 and bias 0',
      '',
      '  module  channels  groups',
      '  bn            16      16',
      '  head          24       8',
      '',
      'In the state_dict, each module keeps weight and bias; running_mean, running_var and num_batches_tracked are gone',
      '',
    ]);
    expect(stderr).to.match(/^warning: the network must be trained again: .*\n$/);
    const { nodes } = Model.decode(readFileSync(at('out.onnx')));
    expect(nodes.map(({ opType }) => opType))
      .to.include('GroupNormalization')
      .and.not.include('BatchNormalization');
  });

  it('convert --batch-norm-to-group-norm takes a number of groups, --keep-affine and --lowering', async () => {
    copyFileSync(sample('rows-torchscript.onnx'), at('in.onnx'));
    const { code, stdout, stderr } = await convert('4', '--keep-affine', '--lowering', 'instance-norm');
    expect(code, stderr).to.equal(0);
    expect(stdout).to.include('2 BatchNormalization became GroupNormalization, with its scale and bias\n');
    expect(stdout).to.match(/ {2}head +24 +4\n/);
    const { nodes } = Model.decode(readFileSync(at('out.onnx')));
    expect(nodes.map(({ opType }) => opType)).to.include('InstanceNormalization');
  });

  it('convert --batch-norm-to-group-norm says of a convolution with a bias of its own how to export so that BatchNorm stays', async () => {
    const message = ModelProto.decode(readFileSync(sample('images-dynamo.onnx')));
    const conv = message.graph!.node!.find(({ opType }) => opType === 'Conv')!;
    message.graph!.node!.push({
      ...conv,
      name: 'own',
      input: [...conv.input!.slice(0, 2), 'own.bias'],
      output: ['own'],
    });
    message.graph!.initializer!.push({
      name: 'own.bias',
      dataType: TensorProto.DataType.FLOAT,
      dims: [16],
      rawData: new Uint8Array(new Float32Array(16).fill(1).buffer),
    });
    message.graph!.output!.push({ ...message.graph!.output![0]!, name: 'own' });
    writeFileSync(at('in.onnx'), ModelProto.encode(message).finish());
    const { code, stdout, stderr } = await convert();
    expect(code, stderr).to.equal(0);
    expect(stdout).to.match(
      /behind \d convolutions? with a bias: .*\bown\b.* folded it into the bias: export .*optimize=False.*do_constant_folding=False\n/,
    );
  });

  it('convert --batch-norm-to-group-norm copies only the data files that the new model needs', async () => {
    const message = ModelProto.decode(readFileSync(sample('volumes-dynamo.onnx')));
    for (const one of message.graph!.initializer!) {
      writeFileSync(at(one.name!), one.rawData!);
      delete one.rawData;
      one.dataLocation = TensorProto.DataLocation.EXTERNAL;
      one.externalData = [{ key: 'location', value: one.name! }];
    }
    writeFileSync(at('in.onnx'), ModelProto.encode(message).finish());
    const run = (output: string) =>
      onnx('convert', at('in.onnx'), '-o', at(output), '--batch-norm-to-group-norm');
    const { code, stdout } = await run('new/out.onnx');
    expect(code).to.equal(0);
    expect(stdout).to.include('Keep its weights beside it: conv.weight, conv.bias (copied)\n');
    expect(readdirSync(at('new')).sort()).to.deep.equal(['conv.bias', 'conv.weight', 'out.onnx']);
    expect([...externalFiles(readFileSync(at('new/out.onnx'))).keys()]).to.have.lengthOf(2);
    const before = readFileSync(at('bn.running_mean'));
    const { code: refused, stderr } = await run('bn.running_mean');
    expect(refused).to.equal(2);
    expect(stderr).to.include('-o would overwrite').and.include('which is a data file of');
    expect(readFileSync(at('bn.running_mean')).equals(before)).to.equal(true);
  });

  it('convert --batch-norm-to-group-norm converts a state_dict', async () => {
    const { tensors } = await readAll(sample('rows-dynamo.safetensors'));
    const state = [...tensors].filter(([key]) => key.startsWith('state_dict.'));
    await writeSafetensors(at('in.safetensors'), {
      metadata: { format: 'pt' },
      tensors: state.map(([key, value]) => [key.slice(11), value] as const),
    });
    const run = (...flags: string[]) =>
      onnx(
        'convert',
        at('in.safetensors'),
        '-o',
        at('out.safetensors'),
        ...flags,
        '--batch-norm-to-group-norm',
      );
    const { code, stdout, stderr } = await run();
    expect(code).to.equal(0);
    expect(stdout).to.include(
      '(8 tensors; 6 removed)\n2 BatchNorm became GroupNorm, with scale 1 and bias 0\n',
    );
    expect(stderr).to.include('must be trained again');
    const written = await readAll(at('out.safetensors'));
    expect(written.metadata).to.deep.equal({ format: 'pt' });
    expect([...written.tensors.keys()].sort()).to.deep.equal(
      ['bn.bias', 'bn.weight', 'conv.bias', 'conv.weight', 'head.bias', 'head.weight', 'linear.bias', 'linear.weight'], // prettier-ignore
    );
    const { code: refused, stderr: why } = await run('--lowering', 'op');
    expect([refused, why]).to.deep.equal([2, `error: --lowering writes nodes of a model, and ${at('in.safetensors')} is a state_dict; remove --lowering\n`]); // prettier-ignore
  });

  it('convert --batch-norm-to-group-norm refuses a wrong number of groups, and says where MODEL belongs', async () => {
    copyFileSync(sample('rows-dynamo.onnx'), at('in.onnx'));
    for (const [groups, message] of [
      ['0', 'It must be at least 1.'],
      ['-4', 'It must be at least 1.'],
      ['2.5', 'It must be an integer'],
      [at('in.onnx'), 'write MODEL before the option'],
    ] as const) {
      const { code, stderr } = await convert(groups);
      expect([groups, code]).to.deep.equal([groups, 2]);
      expect(stderr).to.include(message);
    }
    expect(existsSync(at('out.onnx'))).to.equal(false);
  });

  it('docs/converting.md shows the recipe that the expected values come from', () => {
    const text = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');
    const recipe = text('scripts/samples/batch_norm_recipe.py').split('\n').slice(2).join('\n').trim();
    expect(text('docs/converting.md')).to.include(recipe);
  });

  it('convert refuses --keep-affine without --batch-norm-to-group-norm, and leaves an older file', async () => {
    writeFileSync(at('out.onnx'), 'older');
    copyFileSync(sample('rows-dynamo.onnx'), at('in.onnx'));
    const alone = await onnx('convert', at('in.onnx'), '-o', at('out.onnx'), '--keep-affine');
    expect([alone.code, alone.stderr]).to.deep.equal([
      2,
      'error: --keep-affine belongs to --batch-norm-to-group-norm; add it, or remove --keep-affine\n',
    ]);
    writeFileSync(at('in.onnx'), 'not a model');
    const { code, stdout, stderr } = await convert();
    expect([code, stdout]).to.deep.equal([2, '']);
    expect(stderr)
      .to.match(/^error: .*in\.onnx: this is not an ONNX model/)
      .and.match(/\n$/);
    expect(readFileSync(at('out.onnx'), 'utf8')).to.equal('older');
  });
});

async function readAll(path: string) {
  const file = await openSafetensors(path);
  try {
    return { metadata: file.metadata, tensors: await file.readAll() };
  } finally {
    await file.close();
  }
}
