import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { describeConversion } from '../../../../lib/cli/commands/convert/convert.js';
import { planModelData } from '../../../../lib/cli/commands/convert/data.js';
import { UsageError } from '../../../../lib/cli/shared/terminal.js';
import { FileError, ModelError } from '../../../../lib/errors.js';
import { GraphBuilder } from '../../../../lib/graph/builder.js';
import * as op from '../../../../lib/graph/ops/index.js';
import type { ConvertedModel } from '../../../../lib/index.js';
import { encodeModel } from '../../../../lib/onnx/encode.js';
import { Model } from '../../../../lib/onnx/model.js';
import { externalFiles, renameLocations } from '../../../../lib/onnx/protobuf/tensor-walk.js';
import { createSession } from '../../../../lib/runtime/node.js';
import { exportedModel } from '../../../support/exported-model.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../../support/group-norm.js';
import { runPlain } from '../../../support/plain-runtime.js';
import { rejection, temporaryFolder } from '../../../support/temporary.js';
import { onnx, useTemporaryFolder } from '../../support.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [1, 8, 10, 12], { mean: 1000, deviation: 0.1 }),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  numGroups: 2,
  eps: Math.fround(1e-5),
};
/** The error of results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE = 1e-5 + 1.3e-5;

describe('convert', () => {
  const at = useTemporaryFolder();
  const files = (folder = '') => readdirSync(at(folder)).sort();
  const convert = (...flags: string[]) => onnx('convert', at('in.onnx'), '-o', at('out.onnx'), ...flags);

  it('convert writes a model that ONNX Runtime runs with the right result, and prints what it replaced', async () => {
    writeFileSync(at('in.onnx'), groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    const { code, stdout, stderr } = await convert();
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout.split('\n').slice(1)).to.deep.equal([
      '1 GroupNorm written as reduce-mean: 1 GroupNormalization',
      '',
    ]);
    expect(stdout).to.match(/^Wrote .*out\.onnx \([\d.]+ kB\)\n/);
    const y = await runPlain(readFileSync(at('out.onnx')), CASE.x);
    expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    expect(files()).to.deep.equal(['in.onnx', 'out.onnx']);
  });

  for (const lowering of ['reduce-mean', 'instance-norm', 'layer-norm']) {
    it(`convert writes a GroupNorm that PyTorch exported as ${lowering}`, async () => {
      writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
      const { code, stdout } = await convert('--lowering', lowering);
      expect(code).to.equal(0);
      expect(stdout).to.include(
        `1 GroupNorm written as ${lowering}: 1 as PyTorch exports it below opset 21\n`,
      );
      const y = await runPlain(readFileSync(at('out.onnx')), CASE.x);
      expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    });
  }

  it('convert --merge writes the operator into a model of opset 17, which becomes one of opset 21', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    const { code, stdout } = await convert('--merge');
    expect(code).to.equal(0);
    expect(stdout).to.include(
      '1 GroupNorm written as op: 1 as PyTorch exports it below opset 21\nOpset 17 became 21: all other nodes compute what they did\n',
    );
    expect(Model.decode(readFileSync(at('out.onnx'))).opset).to.equal(21);
  });

  it('convert --merge refuses a lowering that is not op, and --batch-norm-to-group-norm', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    const other = await convert('--merge', '--lowering', 'layer-norm');
    expect([other.code, other.stderr]).to.deep.equal([
      2,
      'error: --merge writes the standard operator; remove --merge or --lowering layer-norm\n',
    ]);
    const recipe = await convert('--merge', '--batch-norm-to-group-norm');
    expect([recipe.code, recipe.stderr]).to.deep.equal([
      2,
      'error: --merge and --batch-norm-to-group-norm are two conversions: run convert once for each, --merge first\n',
    ]);
    expect(files()).to.deep.equal(['in.onnx']);
  });

  it('convert --lowering op writes the operator, and says where to run it', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 21));
    const { code, stdout } = await convert('--lowering', 'op');
    expect(code).to.equal(0);
    expect(stdout)
      .to.include('1 GroupNorm written as op: ')
      .and.include('run the model in a session of onnx-groupnorm');
    const { nodes } = Model.decode(readFileSync(at('out.onnx')));
    expect(nodes.map(({ opType }) => opType)).to.include('GroupNormalization');
  });

  it('convert copies a model that has nothing to rewrite, and says so', async () => {
    const g = new GraphBuilder('relu');
    g.output('y', op.relu(g, g.input('x', 'float32', [4])));
    writeFileSync(at('in.onnx'), encodeModel(g.build(), new Map()));
    const { code, stdout } = await convert();
    expect(code).to.equal(0);
    expect(stdout).to.include(`, a copy of ${at('in.onnx')}: there is nothing to rewrite\n`);
    expect(readFileSync(at('out.onnx')).equals(readFileSync(at('in.onnx')))).to.equal(true);
    writeFileSync(at('in.onnx'), groupNormModel(CASE, { lowering: 'reduce-mean', opset: 21 }));
    expect((await convert()).stdout).to.include('there is nothing to rewrite');
  });

  describe('convert of a model with data files', () => {
    const build = () =>
      onnx('build', 'group-norm', '--num-groups', '8', '--num-channels', '512', '--external-data', '-o', at('in.onnx')); // prettier-ignore
    const convertTo = (path: string) => onnx('convert', at('in.onnx'), '-o', at(path));
    const runs = async (path: string) =>
      (await onnx('run', at(path), '--input', 'x=random', '--dim', 'N=1,H=2,W=2')).code;

    it('convert leaves data files in place if the output goes to the same folder, by any path', async () => {
      await build();
      mkdirSync(at('folder'));
      for (const path of ['out.onnx', 'folder/../out.onnx']) {
        const { code, stdout } = await convertTo(path);
        expect(code).to.equal(0);
        expect(stdout).to.include('Keep its weights beside it: in.onnx.data\n');
        expect(files()).to.deep.equal(['folder', 'in.onnx', 'in.onnx.data', 'out.onnx']);
        expect(await runs('out.onnx')).to.equal(0);
      }
    });

    it('convert copies data files to another folder, once', async () => {
      await build();
      const { code, stdout } = await convertTo('new/out.onnx');
      expect(code).to.equal(0);
      expect(stdout).to.include('Keep its weights beside it: in.onnx.data (copied)\n');
      expect(files('new')).to.deep.equal(['in.onnx.data', 'out.onnx']);
      expect(readFileSync(at('new/in.onnx.data')).equals(readFileSync(at('in.onnx.data')))).to.equal(true);
      expect(await runs('new/out.onnx')).to.equal(0);
      expect((await convertTo('new/other.onnx')).stdout).to.include('beside it: in.onnx.data\n');
    });

    it("convert copies weights of a model in Hugging Face's cache, where both are links into one folder", async () => {
      await build();
      for (const folder of ['blobs', 'snapshots/main']) mkdirSync(at(folder), { recursive: true });
      renameSync(at('in.onnx'), at('blobs/4a5b'));
      renameSync(at('in.onnx.data'), at('blobs/e3b0'));
      symlinkSync('../../blobs/4a5b', at('snapshots/main/model.onnx'));
      symlinkSync('../../blobs/e3b0', at('snapshots/main/in.onnx.data'));
      const convertCached = (output: string) =>
        onnx('convert', at('snapshots/main/model.onnx'), '-o', at(output));
      expect((await convertCached('new/out.onnx')).stdout).to.include('beside it: in.onnx.data (copied)\n');
      expect(lstatSync(at('new/in.onnx.data')).isFile()).to.equal(true);
      expect(await runs('new/out.onnx')).to.equal(0);
      // No session would follow the link to the weights for a model that is not a link itself.
      const { code, stderr } = await convertCached('snapshots/main/out.onnx');
      expect(code).to.equal(2);
      expect(stderr)
        .to.match(/is a link to '.*blobs.e3b0'/)
        .and.include('name another folder with -o');
      expect(files('snapshots/main')).to.deep.equal(['in.onnx.data', 'model.onnx']);
    });

    it('convert gives a copy of a data file no more permissions than the file has', async function () {
      if (process.platform === 'win32') this.skip();
      await build();
      for (const mode of [0o600, 0o640, 0o444]) {
        chmodSync(at('in.onnx.data'), mode);
        const folder = `mode-${mode.toString(8)}`;
        expect((await convertTo(`${folder}/out.onnx`)).code).to.equal(0);
        expect(lstatSync(at(`${folder}/in.onnx.data`)).mode & 0o777).to.equal(mode & ~process.umask());
      }
    });

    it('convert writes the path of a copy into the output where the model has a path with ..', async () => {
      await build();
      mkdirSync(at('sub'));
      const renamed = new Map([['in.onnx.data', 'sub/.././in.onnx.data']]);
      writeFileSync(at('in.onnx'), renameLocations(readFileSync(at('in.onnx')), renamed));
      for (const output of ['new/out.onnx', 'out.onnx']) {
        const { code, stdout } = await convertTo(output);
        expect(code).to.equal(0);
        expect(stdout).to.match(/Keep its weights beside it: in\.onnx\.data( \(copied\))?\n/);
        expect([...externalFiles(readFileSync(at(output))).keys()]).to.deep.equal(['in.onnx.data']);
        expect(await runs(output)).to.equal(0);
      }
    });

    it('convert refuses a data file that is shorter than the model says, and writes nothing', async () => {
      await build();
      truncateSync(at('in.onnx.data'), 6143);
      const { code, stdout, stderr } = await convertTo('new/out.onnx');
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.include("'in.onnx.data', which has 6143 bytes, but the model needs 6144");
      expect(existsSync(at('new'))).to.equal(false);
    });

    it('convert refuses to copy a data file over a different file, and writes nothing', async () => {
      await build();
      mkdirSync(at('new'));
      writeFileSync(at('new/in.onnx.data'), 'another');
      const { code, stdout, stderr } = await convertTo('new/out.onnx');
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.include('exists and is different').and.include('name another folder with -o');
      expect(files('new')).to.deep.equal(['in.onnx.data']);
      expect(readFileSync(at('new/in.onnx.data'), 'utf8')).to.equal('another');
    });

    it('convert refuses an output with the path or the name of a data file', async () => {
      await build();
      const before = readFileSync(at('in.onnx.data'));
      expect((await convertTo('in.onnx.data')).stderr).to.include('which is a data file of');
      expect((await convertTo('new/in.onnx.data')).stderr).to.include('give the output another name');
      expect(readFileSync(at('in.onnx.data')).equals(before)).to.equal(true);
      expect(existsSync(at('new'))).to.equal(false);
    });

    it('convert refuses an output that is a link into another folder if the model has data files', async function () {
      if (process.platform === 'win32') this.skip();
      await build();
      mkdirSync(at('elsewhere'));
      writeFileSync(at('elsewhere/old.onnx'), 'old');
      symlinkSync(at('elsewhere/old.onnx'), at('out.onnx'));
      const { code, stderr } = await convertTo('out.onnx');
      expect(code).to.equal(2);
      expect(stderr).to.include('it is a symbolic link into another folder');
      expect(readFileSync(at('elsewhere/old.onnx'), 'utf8')).to.equal('old');
    });
  });

  it('convert leaves the old file as it was when it fails, and no other file', async () => {
    writeFileSync(at('out.onnx'), 'the old model');
    writeFileSync(at('in.onnx'), exportedModel(CASE, 16));
    writeFileSync(at('text.onnx'), 'no model');
    const failures: [string[], RegExp][] = [
      [
        [at('in.onnx'), '--lowering', 'op'],
        /in\.onnx: lowering 'op' needs a model of opset 21 .*reduce-mean/,
      ],
      [[at('in.onnx'), '--lowering', 'layer-norm'], /in\.onnx: lowering 'layer-norm' needs opset 17/],
      [[at('in.onnx'), '--lowering', 'layernorm'], /unknown lowering 'layernorm': did you mean 'layer-norm'/],
      [[at('text.onnx')], /text\.onnx: .*text/],
      [[at('none.onnx')], /cannot read '.*none\.onnx': it does not exist; check the path/],
      [[at()], /cannot read .*: it is a folder/],
    ];
    for (const [flags, message] of failures) {
      const { code, stdout, stderr } = await onnx('convert', ...flags, '-o', at('out.onnx'));
      expect([code, stdout], flags.join(' ')).to.deep.equal([2, '']);
      expect(stderr)
        .to.match(/^error: /)
        .and.to.match(message);
    }
    expect(readFileSync(at('out.onnx'), 'utf8')).to.equal('the old model');
    expect(files()).to.deep.equal(['in.onnx', 'out.onnx', 'text.onnx']);
  });

  it('convert and a session refuse a model above 2 GiB before they read it', async () => {
    writeFileSync(at('in.onnx'), '');
    truncateSync(at('in.onnx'), 2 ** 31 + 2 ** 20);
    const { code, stderr } = await convert();
    expect(code).to.equal(2);
    expect(stderr).to.include('2148532224 bytes, but an ONNX file holds at most');
    expect(await rejection(createSession(at('in.onnx')))).to.have.property('code', 'MODEL_TOO_LARGE');
  });

  it('convert exits 2 if it cannot write the file', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    const { code, stderr } = await onnx('convert', at('in.onnx'), '-o', at());
    expect([code, stderr]).to.deep.equal([2, `error: cannot write '${at()}': it is a folder; name a file\n`]);
  });

  describe('convert with bad usage', () => {
    const cases: [flags: string[], message: RegExp][] = [
      [[], /missing required argument 'model'\n'npx onnx-groupnorm convert --help' explains the command/],
      [['in.onnx'], /missing --output <file>; 'npx onnx-groupnorm convert --help' explains/],
      [['in.onnx', 'out.onnx', '-o', 'x.onnx'], /too many arguments/],
      [['in.onnx', '-o', 'x.onnx', '--lower', 'op'], /unknown option '--lower'/],
    ];
    for (const [flags, message] of cases) {
      it(`convert refuses: convert ${flags.join(' ')}`, async () => {
        const { code, stdout, stderr } = await onnx('convert', ...flags);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(message);
      });
    }
  });
});

const NONE = { groupNormalization: 0, exported: 0, contrib: 0, inlined: 0, rows: 0 };

const lines = (
  changes: Partial<ConvertedModel>,
  data = { locations: [] as string[], copies: [] as object[] },
) =>
  describeConversion({
    path: 'in.onnx',
    output: 'out.onnx',
    converted: {
      bytes: new Uint8Array(12),
      replaced: NONE,
      nhwcConvs: 0,
      lowerings: [],
      foreign: [],
      raisedFrom: undefined,
      externalData: [],
      ...changes,
    },
    data: data as Parameters<typeof describeConversion>[0]['data'],
  }).slice(1);

describe('describeConversion', () => {
  it('describeConversion says how many NhwcConv became Conv', () => {
    expect(lines({ nhwcConvs: 2 })).to.deep.equal(['2 com.microsoft.NhwcConv written as Conv']);
  });

  it('describeConversion names the file and its size first', () => {
    const replaced = { ...NONE, exported: 1 };
    const converted = {
      bytes: new Uint8Array(12),
      replaced,
      nhwcConvs: 0,
      lowerings: [],
      foreign: [],
      raisedFrom: undefined,
      externalData: [],
    };
    const data = { locations: [], copies: [] };
    expect(describeConversion({ path: 'in.onnx', output: 'out.onnx', converted, data })[0]).to.equal(
      'Wrote out.onnx (12 bytes)',
    );
  });

  it('describeConversion counts GroupNorm by its form in the model', () => {
    const replaced = { groupNormalization: 60, exported: 1, contrib: 3, inlined: 2, rows: 0 };
    expect(lines({ replaced, lowerings: ['reduce-mean'] })).to.deep.equal([
      "66 GroupNorm written as reduce-mean: 60 GroupNormalization, 1 as PyTorch exports it below opset 21, 3 as ONNX Runtime's com.microsoft operators, 2 written out in arithmetic",
    ]);
    expect(
      lines({ replaced: { ...NONE, inlined: 2 }, lowerings: ['instance-norm', 'reduce-mean'] }),
    ).to.deep.equal(['2 GroupNorm written as instance-norm and reduce-mean: 2 written out in arithmetic']);
  });

  it('describeConversion lists other normalizations apart from GroupNorm', () => {
    expect(lines({ replaced: { ...NONE, rows: 2 } })).to.deep.equal([
      'No GroupNorm to rewrite',
      '2 other normalizations in which ONNX Runtime loses digits, written as reduce-mean',
    ]);
    expect(lines({})).to.deep.equal([]);
  });

  it('describeConversion names data files, and operators that only some runtimes have', () => {
    expect(lines({}, { locations: ['a', 'b'], copies: [{}] })[0]).to.equal(
      'Keep its weights beside it: a, b (copied)',
    );
    expect(lines({ foreign: ['com.microsoft.FusedConv'] })[0]).to.include('com.microsoft.FusedConv');
  });
});

describe('planModelData', () => {
  const path = temporaryFolder();
  const plan = (output: string, ...locations: string[]) =>
    planModelData(
      path('from/in.onnx'),
      path(output),
      new Map(locations.map((location) => [location, { size: 0, hasOnlyInitializers: true }])),
    );
  const write = async (name: string, content: string) => {
    await mkdir(path('from/weights'), { recursive: true });
    await writeFile(path('from', name), content);
  };

  it('planModelData returns no copies for a model without data files', async () => {
    expect(await plan('to/out.onnx')).to.deep.equal({ locations: [], names: new Map(), copies: [] });
  });

  it('planModelData copies each data file once, and keeps its sub-folders', async () => {
    await write('w', 'abc');
    await write('weights/w', 'defg');
    const { locations, copies } = await plan('to/out.onnx', 'w', './w', 'weights/w');
    expect(locations).to.have.lengthOf(2);
    expect(copies.map((copy) => copy.path)).to.deep.equal([path('to', 'w'), path('to', 'weights', 'w')]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of copies[0]!.content as AsyncIterable<Uint8Array>) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).to.equal('abc');
  });

  it('planModelData does not copy a file that is there already, as equal bytes or as a link', async () => {
    await write('w', 'abc');
    await write('v', 'abcd');
    await mkdir(path('to'));
    await writeFile(path('to/w'), 'abc');
    await link(path('from/v'), path('to/v'));
    expect((await plan('to/out.onnx', 'w', 'v')).copies).to.deep.equal([]);
  });

  it('planModelData refuses a target that is a different file or a folder', async () => {
    await write('w', 'abc');
    await mkdir(path('to'));
    for (const content of ['abd', 'abcd']) {
      await writeFile(path('to/w'), content);
      expect(await rejection(plan('to/out.onnx', 'w'))).to.be.instanceOf(UsageError);
    }
    await mkdir(path('other/w'), { recursive: true });
    expect(await rejection(plan('other/out.onnx', 'w'))).to.be.instanceOf(UsageError);
  });

  it('planModelData refuses data files outside of the folder of the model, and links that lead there', async () => {
    await write('w', 'abc');
    await writeFile(path('outside'), 'abc');
    await symlink(path('outside'), path('from/link'));
    for (const output of ['to/out.onnx', 'from/out.onnx']) {
      for (const location of ['../outside', path('outside'), 'weights/../../outside', 'link', 'weights']) {
        const error = await rejection(plan(output, 'w', location));
        expect(error, location).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
      }
    }
  });

  it('planModelData does not copy a hidden file, whose name the model chooses, to another folder', async () => {
    await mkdir(path('from/.ssh'), { recursive: true });
    for (const name of ['.bashrc', '.ssh/authorized_keys']) {
      await write(name, 'abc');
      expect((await plan('from/out.onnx', name)).locations).to.deep.equal([name]);
      const error = await rejection(plan('to/out.onnx', name));
      expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
      expect((error as Error).message).to.include(`hidden file '${name}'`);
    }
  });

  it('planModelData refuses a missing data file', async () => {
    await write('w', 'abc');
    for (const output of ['from/out.onnx', 'to/out.onnx']) {
      const error = await rejection(plan(output, 'w', 'missing'));
      expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_NOT_FOUND');
      expect((error as Error).message).to.include('missing');
    }
  });
});
