import { link, mkdir, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { planModelData } from '../../../lib/cli/commands/convert.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';
import { FileError, ModelError } from '../../../lib/errors.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';

describe('planModelData', () => {
  const path = temporaryFolder();
  const plan = (output: string, ...locations: string[]) =>
    planModelData(path('from/in.onnx'), path(output), locations);
  const write = async (name: string, content: string) => {
    await mkdir(path('from/weights'), { recursive: true });
    await writeFile(path('from', name), content);
  };

  it('has nothing to do for a model that holds its weights', async () => {
    expect(await plan('to/out.onnx')).to.deep.equal({ locations: [], copies: [] });
  });

  it('copies each file once, into folders like those that it lies in', async () => {
    await write('w', 'abc');
    await write('weights/w', 'defg');
    const { locations, copies } = await plan('to/out.onnx', 'w', './w', 'weights/w');
    expect(locations).to.have.lengthOf(2);
    expect(copies.map((copy) => copy.path)).to.deep.equal([path('to', 'w'), path('to', 'weights', 'w')]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of copies[0]!.content as AsyncIterable<Uint8Array>) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).to.equal('abc');
  });

  it('leaves what is the same already, by its content or as another name of the file', async () => {
    await write('w', 'abc');
    await write('v', 'abcd');
    await mkdir(path('to'));
    await writeFile(path('to/w'), 'abc');
    await link(path('from/v'), path('to/v'));
    expect((await plan('to/out.onnx', 'w', 'v')).copies).to.deep.equal([]);
  });

  it('refuses another file, of the same length or not, and a folder, where the copy is to be', async () => {
    await write('w', 'abc');
    await mkdir(path('to'));
    for (const content of ['abd', 'abcd']) {
      await writeFile(path('to/w'), content);
      expect(await rejection(plan('to/out.onnx', 'w'))).to.be.instanceOf(UsageError);
    }
    await mkdir(path('other/w'), { recursive: true });
    expect(await rejection(plan('other/out.onnx', 'w'))).to.be.instanceOf(UsageError);
  });

  it('refuses to copy what lies outside of the folder, and takes it where nothing is copied', async () => {
    await write('w', 'abc');
    await writeFile(path('outside'), 'abc');
    for (const location of ['../outside', path('outside'), 'weights/../../outside']) {
      const error = await rejection(plan('to/out.onnx', 'w', location));
      expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
    }
    expect((await plan('from/out.onnx', '../outside')).copies).to.deep.equal([]);
  });

  it('says that a file is missing, before anything is written', async () => {
    await write('w', 'abc');
    for (const output of ['from/out.onnx', 'to/out.onnx']) {
      const error = await rejection(plan(output, 'w', 'missing'));
      expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_NOT_FOUND');
      expect((error as Error).message).to.include('missing');
    }
  });
});
