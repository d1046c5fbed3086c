import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { leavesFolder } from '../../../lib/files/location.js';
import { encodeExternalTensor } from '../../../lib/onnx/protobuf/tensors.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { convertModel } from '../../../lib/rewrite/convert.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensorBytes, type TensorData } from '../../../lib/tensor.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [2, 8, 3, 5]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  numGroups: 4,
  eps: 2 ** -17,
};

/** A model whose scale lies in a file of 8 float32. */
const modelWith = (location: string): Uint8Array =>
  withExternal(groupNormModel(CASE, { lowering: 'op', opset: 21 }), 'weight', CASE.scale!, location);

/** Returns the model with an initializer in a file of its own. */
function withExternal(model: Uint8Array, name: string, value: TensorData, location: string): Uint8Array {
  const message = ModelProto.decode(model);
  const length = value.data.byteLength;
  const held = message.graph!.initializer!.filter((tensor) => tensor.name !== name);
  message.graph!.initializer = [...held, encodeExternalTensor(name, value, { location, offset: 0, length })];
  return ModelProto.encode(message).finish();
}

const WAYS: Readonly<Record<string, SessionOptions>> = {
  native: { providers: ['native'] },
  'cpu, as reduce-mean': { providers: ['cpu'], groupNorm: 'reduce-mean' },
  wasm: { providers: ['wasm'] },
};

describe('external data', () => {
  const at = temporaryFolder();

  for (const [way, options] of Object.entries(WAYS)) {
    it(`a session on ${way} reads weights from the folder of the model only`, async () => {
      mkdirSync(at('model/sub'), { recursive: true });
      for (const file of ['outside', 'model/weights', 'model/sub/weights'])
        writeFileSync(at(file), tensorBytes(CASE.scale!));
      symlinkSync(at('outside'), at('model/leaving'));
      symlinkSync('sub/weights', at('model/staying'));
      symlinkSync('circle', at('model/circle'));
      execFileSync('mkfifo', [at('model/pipe')]);
      const path = at('model/model.onnx');
      for (const location of ['weights', 'sub/weights', './sub/../weights', 'staying']) {
        writeFileSync(path, modelWith(location));
        await using session = await createSession(path, options);
        const { y } = await session.run({ x: CASE.x });
        expect(maxAbsDifference(y!, referenceGroupNorm(CASE)), location).to.be.below(1e-5 + 5.2e-6);
      }
      const refused: [location: string, words: RegExp][] = [
        ['../outside', /is not in the model's folder/],
        ['sub/../../outside', /is not in the model's folder/],
        [at('outside'), /is not in the model's folder/],
        ['', /is not in the model's folder/],
        ['leaving', /is a link to '.*outside', outside of the model's folder/],
        ['circle', /links lead in a circle/],
        ['pipe', /is not a regular file/],
        ['sub', /is not a regular file/],
        ['missing', /is not beside the model/],
      ];
      for (const [location, words] of refused) {
        writeFileSync(path, modelWith(location));
        const error = await rejection(createSession(path, options));
        expect(error, location).to.have.property('code', 'MODEL_REJECTED');
        expect((error as Error).message)
          .to.include(`'${location}'`)
          .and.match(words);
      }
    });
  }

  /** Hugging Face's cache: a revision has links to files whose names are hashes. */
  function cacheWith(location: string): string {
    for (const folder of ['cache/blobs', 'cache/snapshots/main/onnx'])
      mkdirSync(at(folder), { recursive: true });
    writeFileSync(at('cache/blobs/4a5b'), modelWith(location));
    writeFileSync(at('cache/blobs/e3b0'), tensorBytes(CASE.scale!));
    const path = at('cache/snapshots/main/onnx/model.onnx');
    symlinkSync('../../../blobs/4a5b', path);
    return path;
  }

  for (const [way, options] of Object.entries(WAYS)) {
    it(`a session on ${way} runs a model and weights that are links into one folder, as in Hugging Face's cache`, async () => {
      const path = cacheWith('./model.onnx_data');
      symlinkSync('../../../blobs/e3b0', at('cache/snapshots/main/onnx/model.onnx_data'));
      await using session = await createSession(path, options);
      const { y } = await session.run({ x: CASE.x });
      expect(maxAbsDifference(y!, referenceGroupNorm(CASE))).to.be.below(1e-5 + 5.2e-6);
    });

    it(`a session on ${way} refuses weights that are a link elsewhere, though the model is a link too`, async () => {
      const path = cacheWith('model.onnx_data');
      writeFileSync(at('cache/outside'), tensorBytes(CASE.scale!));
      symlinkSync('../../../outside', at('cache/snapshots/main/onnx/model.onnx_data'));
      const error = await rejection(createSession(path, options));
      expect(error).to.have.property('code', 'MODEL_REJECTED');
      expect((error as Error).message).to.match(/is a link to '.*outside', outside of the model's folder/);
    });

    it(`a session on ${way} reads weights beside the link to a model, and beside its file, in one model`, async () => {
      const withBias = { ...CASE, bias: randomTensor('float32', [8], { stream: 'bias' }) };
      const inside = groupNormModel(withBias, { lowering: 'op', opset: 21 });
      const model = withExternal(inside, 'weight', CASE.scale!, 'model.onnx_data');
      const path = cacheWith('');
      writeFileSync(path, withExternal(model, 'bias', withBias.bias, 'bias'));
      symlinkSync('../../../blobs/e3b0', at('cache/snapshots/main/onnx/model.onnx_data'));
      writeFileSync(at('cache/snapshots/main/onnx/bias'), tensorBytes(withBias.bias));
      await using session = await createSession(path, options);
      const { y } = await session.run({ x: CASE.x });
      expect(maxAbsDifference(y!, referenceGroupNorm(withBias))).to.be.below(1e-5 + 5.2e-6);
    });
  }

  it('convertModel lists the files of a model as the model names them', () => {
    expect(convertModel(modelWith('../outside')).externalData).to.deep.equal(['../outside']);
  });

  it('leavesFolder knows paths of Windows, devices and URLs', () => {
    const leaving = [
      '..\\w',
      'C:\\w',
      'C:w',
      '\\\\server\\w',
      '/dev/zero',
      'https://example.com/w',
      'file:///w',
      '..',
      '.',
      'a\0b',
    ];
    expect(leaving.filter((location) => !leavesFolder(location))).to.deep.equal([]);
    expect(
      ['w', 'a/w', 'a\\w', './w', 'a/../w', '..w', 'a..b/w', 'model.onnx_data'].filter(leavesFolder),
    ).to.deep.equal([]);
  });
});
