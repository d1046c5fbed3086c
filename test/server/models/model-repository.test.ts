import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ServerError } from '../../../lib/errors.js';
import {
  type IndexEntry,
  ModelRepository,
  type RepositoryOptions,
} from '../../../lib/server/models/model-repository.js';
import { tensor } from '../../../lib/tensor.js';
import { declared, node, smallModel } from '../../support/small-model.js';
import { caught, rejection, temporaryFolder } from '../../support/temporary.js';

/** y = −x or |x|, for `x` (N, 4). */
const negModel = () => smallModel([node('Neg', 'x', 'y')]);
const absModel = () => smallModel([node('Abs', 'x', 'y')]);
/** `x` and `y` (1, 4). */
const fixedModel = () =>
  smallModel([node('Neg', 'x', 'y')], {
    input: [declared('x', 'float32', [1, 4])],
    output: [declared('y', 'float32', [1, 4])],
  });

const x = tensor('float32', [1, 4], Float32Array.of(-1, 2, -3, 4));

async function write(path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
}

describe('a repository of models', () => {
  const at = temporaryFolder();

  /** Opens a repository, reads it, and calls `action`. */
  async function withRepository(
    options: Partial<RepositoryOptions>,
    action: (repository: ModelRepository) => Promise<void>,
  ): Promise<void> {
    const repository = new ModelRepository({ path: at(), ...options });
    try {
      await repository.refresh();
      await action(repository);
    } finally {
      await repository.dispose();
    }
  }

  const run = async (repository: ModelRepository, name: string, version?: string): Promise<number[]> => {
    const { outputs } = await repository.get(name, version).run({ x });
    return [...(outputs.y!.data as Float32Array)];
  };
  const states = (entries: readonly IndexEntry[]) =>
    entries.map(({ name, version, state }) => `${name} ${version} ${state}`);
  const NEGATED = [1, -2, 3, -4];
  const ABSOLUTE = [1, 2, 3, 4];

  it('ModelRepository serves one file under its name, and a folder of files', async () => {
    await write(at('neg.onnx'), negModel());
    await write(at('abs.onnx'), absModel());
    await write(at('README.md'), 'not a model');
    await withRepository({ path: at('neg.onnx') }, async (repository) => {
      expect(states(repository.index())).to.deep.equal(['neg 1 READY']);
      expect(await run(repository, 'neg')).to.deep.equal(NEGATED);
    });
    await withRepository({}, async (repository) => {
      expect(repository.isReady).to.equal(true);
      expect(states(repository.index())).to.deep.equal(['abs 1 READY', 'neg 1 READY']);
      expect(await run(repository, 'abs', '1')).to.deep.equal(ABSOLUTE);
    });
  });

  it("ModelRepository serves KServe's layouts of one model under the given name", async () => {
    for (const file of ['model.onnx', '1/model.onnx', 'any-name.onnx', 'some/1/model.onnx']) {
      const folder = at(`mount of ${file.replaceAll('/', '-')}`);
      await write(join(folder, file), negModel());
      await withRepository({ path: folder, modelName: 'served' }, async (repository) => {
        expect(await run(repository, 'served')).to.deep.equal(NEGATED);
        expect(caught(() => repository.get('model'))).to.have.property('code', 'MODEL_NOT_FOUND');
      });
    }
  });

  it("ModelRepository serves Triton's layout: versions, config.pbtxt, another file name, a folder of external data", async () => {
    await write(at('both/1/model.onnx'), negModel());
    await write(at('both/2/model.onnx'), absModel());
    await write(at('both/0/model.onnx'), 'ignored');
    await write(at('both/config.pbtxt'), 'max_batch_size: 4 version_policy { all { } }');
    await write(at('named/3/neg.onnx'), negModel());
    await write(at('named/config.pbtxt'), 'default_model_filename: "neg.onnx"');
    await write(at('folder/1/model.onnx/model.onnx'), negModel());
    await withRepository({}, async (repository) => {
      expect(states(repository.index())).to.deep.equal([
        'both 2 READY',
        'both 1 READY',
        'folder 1 READY',
        'named 3 READY',
      ]);
      expect(await run(repository, 'both')).to.deep.equal(ABSOLUTE);
      expect(await run(repository, 'both', '1')).to.deep.equal(NEGATED);
      expect(repository.get('both').maxBatchSize).to.equal(4);
      expect(repository.get('named').maxBatchSize).to.equal(undefined);
      expect(await run(repository, 'folder')).to.deep.equal(NEGATED);
    });
  });

  it('ModelRepository says in the index why a model cannot be loaded, without paths of the server, and serves the others', async () => {
    await write(at('good/1/model.onnx'), negModel());
    await write(at('broken/1/model.onnx'), 'not a model');
    await write(at('empty/config.pbtxt'), '');
    await write(at('typo/1/model.onnx'), negModel());
    await write(at('typo/config.pbtxt'), 'max_batchsize: 4');
    await write(at('fixed/1/model.onnx'), fixedModel());
    await write(at('fixed/config.pbtxt'), 'max_batch_size: 4');
    await write(at('none/1/model.onnx'), negModel());
    await write(at('none/config.pbtxt'), 'version_policy { specific { versions: 7 } }');
    await withRepository({}, async (repository) => {
      expect(await run(repository, 'good')).to.deep.equal(NEGATED);
      expect(repository.isReady).to.equal(false);
      const reasons = Object.fromEntries(repository.index().map(({ name, reason }) => [name, reason]));
      expect(reasons.broken).to.match(/^broken.1.model\.onnx: .*not an ONNX model/);
      expect(reasons.empty).to.match(/empty.1' does not exist|cannot read 'empty.1/);
      expect(reasons.typo).to.match(/^typo.config\.pbtxt, line 1: .*max_batch_size/);
      expect(reasons.fixed).to.contain("input 'x' has the shape [1, 4], whose first size is fixed");
      expect(reasons.none).to.equal('version_policy names none of the versions 1');
      const error = caught(() => repository.get('broken')) as ServerError;
      expect(error.code).to.equal('MODEL_NOT_READY');
      expect(error.message).to.contain(`model 'broken' is unavailable: ${reasons.broken}`);
      expect(caught(() => repository.get('good', '2'))).to.have.property('code', 'MODEL_NOT_FOUND');
      expect((caught(() => repository.get('goood')) as Error).message).to.contain("did you mean 'good'?");
      expect(caught(() => repository.get('__proto__'))).to.have.property('code', 'MODEL_NOT_FOUND');
    });
  });

  it('ModelRepository serves a model of fixed batch without batches if only the server asks for them', async () => {
    await write(at('fixed.onnx'), fixedModel());
    await write(at('neg.onnx'), negModel());
    await withRepository({ serving: { maxBatchSize: 8, preferredBatchSizes: [8] } }, async (repository) => {
      const fixed = repository.get('fixed');
      expect(fixed.maxBatchSize).to.equal(undefined);
      expect(fixed.notJoined).to.contain("input 'x' has the shape [1, 4]");
      expect(await run(repository, 'fixed')).to.deep.equal(NEGATED);
      expect(repository.get('neg').maxBatchSize).to.equal(8);
      expect(repository.get('neg').notJoined).to.equal(undefined);
    });
  });

  it('ModelRepository does not join requests to a model that quantizes a batch with one scale', async () => {
    const nodes = [
      node('DynamicQuantizeLinear', 'x', 'q scale zero'),
      node('DequantizeLinear', 'q scale zero', 'y'),
    ];
    await write(at('m.onnx'), smallModel(nodes));
    await withRepository({ serving: { maxBatchSize: 8, maxQueueDelay: 20 } }, async (repository) => {
      const model = repository.get('m');
      expect(model.notJoined).to.contain('the operator DynamicQuantizeLinear quantizes all samples');
      const large = tensor('float32', [1, 4], Float32Array.of(-1e6, 1e6, 1, 2));
      const alone = (await model.run({ x })).outputs.y!.data;
      const [answer] = await Promise.all([model.run({ x }), model.run({ x: large })]);
      expect([...(answer.outputs.y!.data as Float32Array)]).to.deep.equal([...(alone as Float32Array)]);
      expect(answer.batchSize).to.equal(1);
    });
  });

  it('ModelRepository refuses a path that does not exist, that has no model, and a name for several models', async () => {
    const refusal = async (options: RepositoryOptions) =>
      (await rejection(new ModelRepository(options).refresh())) as ServerError;
    expect(await refusal({ path: at('absent') })).to.have.property('code', 'REPOSITORY_INVALID');
    expect((await refusal({ path: at() })).message).to.contain('holds no model: expected a .onnx file');
    await write(at('a.onnx'), negModel());
    await write(at('b.onnx'), negModel());
    expect((await refusal({ path: at(), modelName: 'c' })).message).to.contain('holds 2 models');
  });

  it('ModelRepository takes no request before it has read the path', () => {
    const repository = new ModelRepository({ path: at() });
    expect(repository.isReady).to.equal(false);
    expect(caught(() => repository.get('neg'))).to.have.property('code', 'MODEL_NOT_READY');
  });

  it('refresh loads what is new and has changed, ends what is gone, and leaves the others', async () => {
    await write(at('kept/1/model.onnx'), negModel());
    await write(at('changed/1/model.onnx'), negModel());
    await write(at('gone/1/model.onnx'), negModel());
    const seen: string[] = [];
    const onState = (entry: IndexEntry) => seen.push(...states([entry]));
    await withRepository({ onState }, async (repository) => {
      const kept = repository.get('kept');
      seen.length = 0;
      await rm(at('gone'), { recursive: true });
      await write(at('changed/1/model.onnx'), absModel());
      await write(at('new/1/model.onnx'), absModel());
      await repository.refresh();
      expect(repository.get('kept')).to.equal(kept);
      expect(await run(repository, 'changed')).to.deep.equal(ABSOLUTE);
      expect(await run(repository, 'new')).to.deep.equal(ABSOLUTE);
      expect(caught(() => repository.get('gone'))).to.have.property('code', 'MODEL_NOT_FOUND');
      // A model that has changed takes requests throughout.
      expect(seen).to.not.include('changed 1 LOADING');
      expect(seen).to.include('gone 1 UNLOADING');
      await write(at('changed/2/model.onnx'), negModel());
      await repository.refresh();
      expect(await run(repository, 'changed')).to.deep.equal(NEGATED);
      expect(states(repository.index())).to.include('changed 2 READY').and.not.include('changed 1 READY');
    });
  });

  it('refresh keeps the earlier model if the changed files cannot be loaded, and says so', async () => {
    await write(at('m/1/model.onnx'), negModel());
    await withRepository({}, async (repository) => {
      await write(at('m/1/model.onnx'), 'not a model');
      await repository.refresh();
      expect(await run(repository, 'm')).to.deep.equal(NEGATED);
      const [entry] = repository.index();
      expect(entry).to.include({ state: 'READY' });
      expect(entry!.reason).to.contain('the files have changed, and cannot be loaded: m');
      await write(at('m/config.pbtxt'), 'max_batch_size');
      await repository.refresh();
      expect(repository.index()[0]!.reason).to.contain('config.pbtxt, line 1');
      await rm(at('m/config.pbtxt'));
      await write(at('m/1/model.onnx'), absModel());
      await repository.refresh();
      expect(repository.index()).to.deep.equal([{ name: 'm', version: '1', state: 'READY', reason: '' }]);
      expect(await run(repository, 'm')).to.deep.equal(ABSOLUTE);
    });
  });

  it('unload lets running requests end, refuses new ones at once, and load brings the model back', async () => {
    await write(at('m/1/model.onnx'), negModel());
    await withRepository({}, async (repository) => {
      let finish!: () => void;
      const held = new Promise<void>((resolve) => (finish = resolve));
      const request = repository.get('m').use(async (model) => {
        await held;
        return (await model.run({ x })).outputs.y!.data;
      });
      const unloading = repository.unload('m');
      expect(states(repository.index())).to.deep.equal(['m 1 UNLOADING']);
      expect(caught(() => repository.get('m'))).to.have.property('code', 'MODEL_NOT_READY');
      finish();
      expect([...((await request) as Float32Array)]).to.deep.equal(NEGATED);
      await unloading;
      expect(repository.index()[0]).to.include({ state: 'UNAVAILABLE', reason: 'unloaded' });
      await repository.refresh();
      expect(repository.index()[0]).to.include({ state: 'UNAVAILABLE' });
      await repository.load('m');
      expect(await run(repository, 'm')).to.deep.equal(NEGATED);
      expect(await rejection(repository.unload('n'))).to.have.property('code', 'MODEL_NOT_FOUND');
      expect(await rejection(repository.load('n'))).to.have.property('code', 'MODEL_NOT_FOUND');
    });
  });

  it('load tries a model again that could not be loaded, and fails with the reason', async () => {
    await write(at('m/1/model.onnx'), 'not a model');
    await withRepository({}, async (repository) => {
      const error = (await rejection(repository.load('m'))) as ServerError;
      expect(error.code).to.equal('MODEL_NOT_READY');
      expect(error.message).to.contain('not an ONNX model');
      await write(at('m/1/model.onnx'), negModel());
      await repository.load('m');
      expect(repository.isReady).to.equal(true);
    });
  });

  it('no request fails while a model is replaced and unloaded under load', async () => {
    await write(at('m/1/model.onnx'), negModel());
    await write(at('abs.onnx'), absModel());
    await withRepository({ serving: { maxBatchSize: 8 } }, async (repository) => {
      let [answered, refused, isOver] = [0, 0, false];
      const client = async () => {
        while (!isOver) {
          try {
            const { outputs } = await repository.get('m').use((model) => model.run({ x }));
            const [first] = outputs.y!.data as Float32Array;
            expect(first).to.equal(1);
            answered += 1;
          } catch (error) {
            expect(error).to.have.property('code', 'MODEL_NOT_READY');
            refused += 1;
            await new Promise(setImmediate);
          }
        }
      };
      const clients = Array.from({ length: 16 }, client);
      for (let i = 0; i < 4; i++) {
        await copyFile(at('abs.onnx'), at('next.tmp'));
        await rename(at('next.tmp'), at('m/1/model.onnx'));
        await repository.refresh();
      }
      expect(refused).to.equal(0);
      await repository.unload('m');
      await repository.load('m');
      isOver = true;
      await Promise.all(clients);
      expect(answered).to.be.above(0);
      expect(refused).to.be.above(0);
    });
  });

  it('watch takes files when they have been the same at two looks', async () => {
    await write(at('m/1/model.onnx'), negModel());
    await withRepository({}, async (repository) => {
      await write(at('n.onnx'), absModel());
      await repository.refresh({ onlySettled: true });
      expect(caught(() => repository.get('n'))).to.have.property('code', 'MODEL_NOT_READY');
      expect(repository.isReady).to.equal(true);
      const errors: unknown[] = [];
      const end = repository.watch(5, (error) => errors.push(error));
      const begin = performance.now();
      while (caught(() => repository.get('n')) && performance.now() - begin < 5000)
        await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await run(repository, 'n')).to.deep.equal(ABSOLUTE);
      expect(errors).to.deep.equal([]);
      await rename(at(), `${at()}-moved`);
      while (errors.length === 0 && performance.now() - begin < 5000)
        await new Promise((resolve) => setTimeout(resolve, 5));
      expect(errors[0]).to.have.property('code', 'REPOSITORY_INVALID');
      expect(await run(repository, 'n')).to.deep.equal(ABSOLUTE);
      end();
      await rename(`${at()}-moved`, at());
    });
  });
});
