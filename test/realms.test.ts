/** Values of another realm, as Jest, `node:vm` and Node-RED make them: `instanceof` does not know them. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { writeFileAtomic } from '../lib/files/atomic.js';
import { reasonOf, systemCode } from '../lib/files/system-error.js';
import { maskToImage } from '../lib/images/mask.js';
import {
  convertModel,
  createSession,
  decodeNpy,
  decodeSafetensors,
  encodeModel,
  encodeNpy,
  encodeSafetensors,
  getGraph,
  initializeWeights,
  matchStateDict,
  tensor,
  TensorError,
  type TensorData,
} from '../lib/index.js';
import { temporaryFolder } from './support/temporary.js';

const foreign = <T>(source: string, value?: unknown): T => runInNewContext(source, { value }) as T;
const foreignBytes = (bytes: Uint8Array): Uint8Array => foreign('Uint8Array.from(value)', [...bytes]);

describe('values of another realm', () => {
  const graph = getGraph('group-norm').build({ numGroups: 1, numChannels: 2 });
  const weights = initializeWeights(graph);
  const at = temporaryFolder();

  it('tensor takes arrays of another realm without a copy, and refuses those of another type', () => {
    const floats = foreign<Float32Array>('Float32Array.of(1, 2)');
    const { data } = tensor('float32', [2], floats);
    expect(data).to.be.instanceOf(Float32Array);
    expect(data.buffer).to.equal(floats.buffer);
    const integers = foreign<BigInt64Array>('BigInt64Array.of(3n)');
    expect([...tensor('int64', [1], integers).data]).to.deep.equal([3n]);
    // @ts-expect-error: an array of another dtype.
    expect(() => tensor('float64', [2], floats)).to.throw(TensorError, 'as Float64Array, not Float32Array');
    const fake = { [Symbol.toStringTag]: 'Float32Array', length: 2 } as unknown as Float32Array;
    expect(() => tensor('float32', [2], fake)).to.throw(TensorError);
  });

  for (const options of [{}, { groupNorm: 'reduce-mean' }, { providers: ['wasm'] }] as const) {
    it(`a session takes a model, an input and an output of another realm (${JSON.stringify(options)})`, async () => {
      const [x, y] = ['Float32Array.of(1, 3)', 'Float32Array.of(0, 0)'].map((source): TensorData => ({
        dtype: 'float32',
        dims: [1, 2, 1, 1],
        data: foreign(source),
      }));
      const session = await createSession(foreignBytes(encodeModel(graph, weights)), options);
      await session.run({ x: x! }, { outputs: { y: y! } });
      // Mean 2, variance 1, epsilon 1e-5.
      expect(y!.data[0]).to.be.closeTo(-1 / Math.sqrt(1 + 1e-5), 1e-6);
      await session.dispose();
    });
  }

  it('systemCode and reasonOf know the errors of another realm, as those of Node are in Jest', () => {
    const error = foreign("Object.assign(new Error('ENOENT: x'), { code: 'ENOENT' })");
    expect(systemCode(error)).to.equal('ENOENT');
    expect(reasonOf(error)).to.equal('it does not exist; check the path');
    expect(reasonOf(foreign("new RangeError('text')"))).to.equal('text');
  });

  it('maskToImage takes classes, and writeFileAtomic bytes, of another realm', async () => {
    const classes = foreign<Uint16Array>('Uint16Array.of(0, 1)');
    expect([...maskToImage({ width: 2, height: 1, numClasses: 2, classes }).samples]).to.deep.equal([0, 255]);
    await writeFileAtomic(at('file'), foreignBytes(Uint8Array.of(1, 2, 3)));
    expect([...readFileSync(at('file'))]).to.deep.equal([1, 2, 3]);
  });

  it('functions take bytes and Maps of another realm', () => {
    const model = encodeModel(graph, weights);
    expect([...convertModel(foreignBytes(model)).bytes]).to.deep.equal([...convertModel(model).bytes]);
    const x = tensor('float32', [2], Float32Array.of(1, 2));
    expect([...decodeNpy(foreignBytes(encodeNpy(x))).data]).to.deep.equal([1, 2]);
    const file = foreignBytes(Buffer.concat(encodeSafetensors({ tensors: [['x', x]] })));
    expect([...decodeSafetensors(file).tensors.get('x')!.data]).to.deep.equal([1, 2]);
    const map = foreign<Map<string, TensorData>>('new Map(value)', [...weights]);
    expect(encodeModel(graph, map)).to.deep.equal(model);
    expect(matchStateDict(graph, map).size).to.equal(weights.size);
  });
});
