/** What a model from elsewhere may make a session and `convert` read. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { planModelData } from '../../../lib/cli/commands/convert/data.js';
import type { SessionError } from '../../../lib/errors.js';
import { locationProblem } from '../../../lib/files/location.js';
import { ModelProto, NodeProto } from '../../../lib/onnx/protobuf/proto.js';
import { externalFiles } from '../../../lib/onnx/protobuf/tensor-walk.js';
import type { Provider } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { all, int, message, model, text, valueInfo } from '../../onnx/bytes.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';
import { externalTensor, modelsWithTensor } from '../../support/tensor-places.js';

const PROVIDERS: readonly Provider[] = ['native', 'cpu', 'wasm'];

/** Files that a model in the folder `model` may not read, and what the message says about them. */
const REFUSED: readonly (readonly [location: string, words: RegExp])[] = [
  ['../outside', /is not in the model's folder/],
  ['link', /is a link to '.*outside', outside of the model's folder/],
  ['sub/file', /is a link to '.*outside', outside of the model's folder/],
  ['folder', /is not a regular file/],
  ['pipe', /is not a regular file/],
  ['missing', /is not beside the model/],
  ['short', /has 15 bytes, but the model needs 16/],
  ['*/_ORT_MEM_ADDR_/*', /an address in memory/],
];

describe('files that a model names', () => {
  const at = temporaryFolder();

  /** Makes the files of `REFUSED`, and returns the path of a model beside them. */
  function folderWithFiles(): string {
    for (const folder of ['model/folder', 'model/*/_ORT_MEM_ADDR_', 'other'])
      mkdirSync(at(folder), { recursive: true });
    for (const file of ['outside', 'model/beside', 'model/*/_ORT_MEM_ADDR_/*'])
      writeFileSync(at(file), 'sixteen bytes ..');
    writeFileSync(at('model/short'), 'fifteen bytes .');
    symlinkSync(at('outside'), at('model/link'));
    symlinkSync(at('outside'), at('other/file'));
    symlinkSync(at('other'), at('model/sub'));
    execFileSync('mkfifo', [at('model/pipe')]);
    return at('model/model.onnx');
  }

  it('a session opens no file that an EPContext node names outside of the folder of the model', async () => {
    const context = (location: string): Uint8Array => {
      const node = NodeProto.create({
        domain: 'com.microsoft',
        opType: 'EPContext',
        input: ['x'],
        output: ['y'],
        attribute: [
          { name: 'embed_mode', type: 2, i: 0 },
          { name: 'ep_cache_context', type: 3, s: new TextEncoder().encode(location) },
        ],
      });
      const opsetImport = [{ version: 17 }, { domain: 'com.microsoft', version: 1 }];
      return ModelProto.encode({ irVersion: 8, opsetImport, graph: { name: 'g', node: [node] } }).finish();
    };
    const path = folderWithFiles();
    for (const [location, words] of REFUSED.filter(([name]) => name !== 'short')) {
      writeFileSync(path, context(location));
      const error = await rejection(createSession(path));
      expect([(error as SessionError).code, (error as Error).message]).to.satisfy(
        ([code, message]: string[]) => code === 'MODEL_REJECTED' && words.test(message!),
        location,
      );
    }
    const error = await rejection(createSession(context('package.json')));
    expect((error as Error).message).to.match(
      /an EPContext names the file 'package.json', which a model given as bytes/,
    );
  });

  for (const provider of PROVIDERS) {
    it(`a session on ${provider} opens no file for a model given as bytes, wherever its tensors are`, async () => {
      // The file is in the working directory.
      for (const [place, bytes] of Object.entries(modelsWithTensor(externalTensor('package.json')))) {
        const error = await rejection(createSession(bytes, { providers: [provider] }));
        expect(error, place).to.have.property('code', 'MODEL_REJECTED');
        expect((error as Error).message, place).to.match(
          /'package.json', which a model given as bytes cannot find/,
        );
      }
    });

    it(`a session on ${provider} opens files in the real folder of the model only, wherever its tensors are`, async () => {
      const path = folderWithFiles();
      for (const [location, words] of REFUSED) {
        for (const [place, bytes] of Object.entries(modelsWithTensor(externalTensor(location)))) {
          writeFileSync(path, bytes);
          const error = await rejection(createSession(path, { providers: [provider] }));
          expect(error, `${place}: ${location}`).to.have.property('code', 'MODEL_REJECTED');
          expect((error as Error).message, place).to.match(words);
        }
      }
    });
  }

  it('convert copies files from the real folder of the model only, wherever its tensors are', async () => {
    const path = folderWithFiles();
    const refused = REFUSED.filter(([location]) => location !== 'missing');
    for (const [location, words] of refused) {
      for (const [place, bytes] of Object.entries(modelsWithTensor(externalTensor(location)))) {
        const error = await rejection(planModelData(path, at('to/out.onnx'), externalFiles(bytes)));
        expect(error, `${place}: ${location}`).to.have.property('code', 'MODEL_UNSUPPORTED');
        expect((error as Error).message, place).to.match(words);
      }
    }
  });

  /** A sparse tensor whose two values lie in a file: ONNX Runtime gets [1, 0, 2, 0]. */
  const SPARSE = message(
    22,
    message(1, int(1, 2), int(2, 1), message(13, text(1, 'location'), text(2, 'a/../values')), int(14, 1)),
    message(2, int(1, 2), int(2, 7), message(9, [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])),
    int(3, 4),
  );
  /** A model whose result is the default of an attribute of a function. */
  const SPARSE_DEFAULT = all(
    [...model(message(1, text(2, 'y'), text(4, 'F'), text(7, 'f')), valueInfo(12, 'y', 1, 4))],
    message(8, text(1, 'f'), int(2, 1)),
    message(
      25,
      text(1, 'F'),
      text(5, 'z'),
      message(
        7,
        text(2, 'z'),
        text(4, 'Constant'),
        message(5, text(1, 'sparse_value'), int(20, 11), text(21, 'v')),
      ),
      message(9, int(2, 21)),
      text(10, 'f'),
      message(11, text(1, 'v'), int(20, 11), SPARSE),
    ),
  );

  for (const provider of ['native', 'cpu'] as const) {
    it(`a session on ${provider} reads the file of a function's default beside a model given by path`, async () => {
      mkdirSync(at('model'));
      writeFileSync(at('model/model.onnx'), SPARSE_DEFAULT);
      writeFileSync(at('model/values'), new Uint8Array(Float32Array.of(1, 2).buffer));
      await using session = await createSession(at('model/model.onnx'), { providers: [provider] });
      expect({ ...(await session.run({})).y }).to.deep.include({
        ...tensor('float32', [4], Float32Array.of(1, 0, 2, 0)),
      });
    });
  }

  it('a session reads the file that it has checked where a folder of its path is a link', async () => {
    // The system takes `a/../w` for `elsewhere/w`.
    for (const folder of ['model', 'elsewhere/deep']) mkdirSync(at(folder), { recursive: true });
    symlinkSync(at('elsewhere/deep'), at('model/a'));
    writeFileSync(at('elsewhere/w'), 'secret secret ..');
    const values = Float32Array.of(1, 2, 3, 4);
    writeFileSync(at('model/w'), new Uint8Array(values.buffer));
    const identity = message(1, text(1, 'w'), text(2, 'y'), text(4, 'Identity'));
    const path = at('model/model.onnx');
    writeFileSync(path, model(externalTensor('a/../w')(5), identity, valueInfo(12, 'y', 1, 4)));
    for (const provider of PROVIDERS) {
      await using session = await createSession(path, { providers: [provider] });
      expect([...(await session.run({})).y!.data]).to.deep.equal([...values]);
    }
  });

  it('locationProblem refuses what is not the name of a file in the folder', () => {
    const refused = [
      '',
      '.',
      'a/..',
      '..',
      '../w',
      'a/../../w',
      '/w',
      '//host/w',
      '\\w',
      '..\\w',
      'C:w',
      'file:///w',
      'file:w',
      'https://example.com/w',
      'a\0b',
      'caf\uFFFD',
      '*/_ORT_MEM_ADDR_/*',
      './*/_ORT_MEM_ADDR_/*',
      '*/_ORT_NATIVE_ENDIAN_MEM_ADDR_/*',
    ];
    expect(refused.filter((location) => locationProblem(location) === undefined)).to.deep.equal([]);
    const names = ['w', 'a/../w', './w', 'w*', '%2e%2e/w', 'w?x', 'w#x', 'café', 'a b'];
    expect(names.filter((location) => locationProblem(location) !== undefined)).to.deep.equal([]);
  });
});
