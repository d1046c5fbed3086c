import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { filesOf, findSources } from '../../../lib/cli/commands/parity-plan.js';
import { FileError, ParityError } from '../../../lib/index.js';
import { useTemporaryFolder } from '../support.js';

describe('cli/parity-files', () => {
  const at = useTemporaryFolder();
  const touch = (...names: string[]) => names.forEach((name) => writeFileSync(at(name), ''));

  const folders = (...names: string[]) => names.forEach((name) => mkdirSync(at(name), { recursive: true }));
  const findPaths = async (paths: string[]) => (await findSources(paths)).map(({ path }) => path);
  const refusal = async (...paths: string[]): Promise<unknown> =>
    findSources(paths).catch((caught: unknown) => caught);

  it('folders are searched to the bottom, and what is found is sorted', async () => {
    mkdirSync(at('b/c'), { recursive: true });
    touch('z.safetensors', 'b/y.safetensors', 'b/c/x.safetensors', 'a.safetensors', 'b/report.json');
    expect(await findPaths([at()])).to.deep.equal(
      ['a.safetensors', 'b/c/x.safetensors', 'b/y.safetensors', 'z.safetensors'].map(at),
    );
  });

  it('paths keep their order, and files their names, whatever these are', async () => {
    mkdirSync(at('b'));
    touch('z.bin', 'b/y.safetensors');
    expect(await findPaths([at('z.bin'), at('b')])).to.deep.equal(['z.bin', 'b/y.safetensors'].map(at));
  });

  it('a path that does not exist is an error, even beside one that does', async () => {
    touch('a.safetensors');
    const error: unknown = await refusal(at('a.safetensors'), at('none'));
    expect(error)
      .to.be.instanceOf(FileError)
      .and.to.include({
        code: 'FILE_NOT_FOUND',
        message: `cannot read '${at('none')}': it does not exist; check the path`,
      });
  });

  it('a path that is there but cannot be followed is unreadable, not missing', async function () {
    if (process.platform === 'win32') this.skip();
    symlinkSync('loop', at('loop'));
    const error: unknown = await refusal(at('loop'));
    expect(error).to.be.instanceOf(FileError).and.to.include({ code: 'FILE_UNREADABLE' });
  });

  it('a file that two paths lead to is there once', async () => {
    touch('a.safetensors');
    expect(await findPaths([at('a.safetensors'), at(), at('./x/../a.safetensors')])).to.deep.equal([at('a.safetensors')]); // prettier-ignore
  });

  it('a folder without fixtures is an error, even beside one that has some', async () => {
    touch('a.safetensors');
    mkdirSync(at('empty'));
    const error: unknown = await refusal(at('a.safetensors'), at('empty'));
    expect(error).to.be.instanceOf(ParityError).and.to.include({ code: 'NO_FIXTURES' });
  });

  it("finds data sets in a model's folder and below, beside fixtures, and none among files", async () => {
    folders('b/test_data_set_1', 'b/test_data_set_0', 'test_data_sets', 'c');
    touch('a.safetensors', 'b/model.onnx', 'c/test_data_set_0');
    expect(await findSources([at()])).to.deep.equal([
      { path: at('a.safetensors'), isDataSet: false },
      { path: at('b/test_data_set_0'), isDataSet: true },
      { path: at('b/test_data_set_1'), isDataSet: true },
    ]);
  });

  it('takes the folder of a data set for that one', async () => {
    folders('b/test_data_set_0', 'b/test_data_set_1');
    const source = { path: at('b/test_data_set_1'), isDataSet: true };
    expect(await findSources([at('b/test_data_set_1'), at('b/./test_data_set_1')])).to.deep.equal([source]);
  });

  for (const name of ['model.onnx', 'output_0.pb']) {
    it(`says what to name instead of ${name}`, async () => {
      touch(name);
      const error = await refusal(at(name));
      expect(error)
        .to.be.instanceOf(ParityError)
        .and.to.include({
          code: 'NO_FIXTURES',
          message: `'${at(name)}' alone is no case: name the folder that holds model.onnx and its test_data_set_0`,
        });
    });
  }

  it('knows which files a source is read from', async () => {
    folders('b/test_data_set_0');
    touch('b/test_data_set_0/input_0.pb');
    expect(await filesOf({ path: at('a.safetensors'), isDataSet: false })).to.deep.equal([
      at('a.safetensors'),
    ]);
    const files = await filesOf({ path: at('b/test_data_set_0'), isDataSet: true });
    expect(files).to.deep.equal([at('b/model.onnx'), at('b/test_data_set_0/input_0.pb')]);
  });
});
