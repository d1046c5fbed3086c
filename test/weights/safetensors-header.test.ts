import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { WeightsError } from '../../lib/errors.js';
import type { Limits } from '../../lib/limits.js';
import {
  NAME_OF,
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX,
  safetensorsHeaderSize,
} from '../../lib/weights/safetensors-header.js';
import { DTYPES } from '../../lib/tensor.js';

/** A file that safetensors wrote: scripts/samples/make_file_samples.py. */
const sample = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../samples/${name}.safetensors`, import.meta.url)));

/** A length and a header. */
function headerOf(text: string): Uint8Array {
  const bytes = new Uint8Array(SAFETENSORS_PREFIX + Buffer.byteLength(text));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Buffer.byteLength(text)), true);
  bytes.set(Buffer.from(text), SAFETENSORS_PREFIX);
  return bytes;
}

describe('weights/safetensors-header', () => {
  it('parseSafetensorsHeader needs the header only, and gives offsets from the start of the file', () => {
    const bytes = sample('dtypes');
    const headerSize = safetensorsHeaderSize(bytes.slice(0, 8), bytes.length);
    expect(headerSize).to.equal(976);
    const parsed = parseSafetensorsHeader(bytes.slice(0, headerSize), bytes.length);
    expect(parsed.headerSize).to.equal(headerSize);
    expect(parsed.tensors.get('int64')).to.deep.equal({
      storedAs: 'I64',
      dtype: 'int64',
      dims: [3],
      start: 1000,
      end: 1024,
    });
  });

  it('NAME_OF has a name of its own for every dtype', () => {
    expect(new Set(DTYPES.map((dtype) => NAME_OF.get(dtype))).size).to.equal(DTYPES.length);
    expect(NAME_OF.has(undefined as never)).to.be.false;
  });

  it('parseSafetensorsHeader gives the tensors in the order of their bytes, for any order in the header', () => {
    const entry = (start: number) => `{"dtype":"U8","shape":[1],"data_offsets":[${start},${start + 1}]}`;
    const text = `{"b":${entry(2)},"0":${entry(1)},"a":${entry(0)}}`;
    const bytes = headerOf(text);
    expect([...parseSafetensorsHeader(bytes, bytes.length + 3).tensors.keys()]).to.deep.equal([
      'a',
      '0',
      'b',
    ]);
  });

  it('parseSafetensorsHeader checks against the stated file size, not against the bytes that it reads', () => {
    const bytes = headerOf('{}');
    expect(parseSafetensorsHeader(bytes, bytes.length).headerSize).to.equal(10);
    expect(() => parseSafetensorsHeader(bytes, bytes.length + 1)).to.throw(
      WeightsError,
      'its tensors end at byte 10, but it has 11 bytes: bytes follow its end',
    );
  });

  it('parseSafetensorsHeader gives the metadata no inherited key', () => {
    const { metadata } = parseSafetensorsHeader(headerOf('{"__metadata__":{"a":"1"}}'), 8 + 26);
    expect(metadata.a).to.equal('1');
    expect(metadata.constructor).to.be.undefined;
  });

  it('parseSafetensorsHeader reads what JSON.parse reads, however the header is written', () => {
    const entries = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.constantFrom('U8', 'F4'), {
      maxKeys: 5,
    });
    const header = fc.tuple(entries, fc.dictionary(fc.string(), fc.string()), fc.jsonValue(), fc.nat(3));
    fc.assert(
      fc.property(header, ([names, metadata, extra, indent]) => {
        const info = (dtype: string) => ({ extra, dtype, shape: [3, 0], data_offsets: [0, 0] });
        const json = Object.fromEntries(Object.entries(names).map(([name, dtype]) => [name, info(dtype)]));
        delete json.__metadata__;
        const text = JSON.stringify({ ...json, __metadata__: metadata }, undefined, indent);
        const bytes = headerOf(text);
        const read = parseSafetensorsHeader(bytes, bytes.length);
        const parsed = JSON.parse(text) as Record<string, { dtype: string }>;
        expect([...read.tensors].map(([name, { storedAs }]) => [name, storedAs])).to.deep.equal(
          Object.entries(parsed)
            .filter(([name]) => name !== '__metadata__')
            .map(([name, { dtype }]) => [name, dtype]),
        );
        expect(Object.entries(read.metadata)).to.deep.equal(Object.entries(parsed.__metadata__!));
      }),
    );
  });

  it('parseSafetensorsHeader refuses more tensors, metadata or dimensions than limits allow, and names the limit', () => {
    const entry = '{"dtype":"U8","shape":[0,1,1],"data_offsets":[0,0]}';
    const text = `{"__metadata__":{"k":"","l":""},"a":${entry},"b":${entry}}`;
    const bytes = headerOf(text);
    const parse = (limits: Partial<Limits>) =>
      parseSafetensorsHeader(bytes, bytes.length, 'w.safetensors', { limits });
    expect(parse({ weightsEntries: 2, modelRank: 3 }).tensors.size).to.equal(2);
    const message = (limits: Partial<Limits>) => {
      try {
        parse(limits);
        return '';
      } catch (error) {
        expect(error).to.be.instanceOf(WeightsError).with.property('code', 'LIMIT_EXCEEDED');
        return (error as Error).message;
      }
    };
    expect(message({ weightsEntries: 1 })).to.match(
      /^w\.safetensors: it has more than 1 texts of metadata;.*limits\.weightsEntries/,
    );
    expect(message({ modelRank: 2 })).to.match(/tensor 'a' has more than 2 dimensions;.*limits\.modelRank/);
    const two = headerOf(`{"a":${entry},"b":${entry}}`);
    expect(() => parseSafetensorsHeader(two, two.length, 'w', { limits: { weightsEntries: 1 } })).to.throw(
      WeightsError,
      'w: it has more than 1 tensors',
    );
  });
});
