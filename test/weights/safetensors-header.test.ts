import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { WeightsError } from '../../lib/errors.js';
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
function header(text: string): Uint8Array {
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
    const bytes = header(text);
    expect([...parseSafetensorsHeader(bytes, bytes.length + 3).tensors.keys()]).to.deep.equal([
      'a',
      '0',
      'b',
    ]);
  });

  it('parseSafetensorsHeader checks against the stated file size, not against the bytes that it reads', () => {
    const bytes = header('{}');
    expect(parseSafetensorsHeader(bytes, bytes.length).headerSize).to.equal(10);
    expect(() => parseSafetensorsHeader(bytes, bytes.length + 1)).to.throw(
      WeightsError,
      'its tensors end at byte 10, but it has 11 bytes: bytes follow its end',
    );
  });

  it('parseSafetensorsHeader gives the metadata no inherited key', () => {
    const { metadata } = parseSafetensorsHeader(header('{"__metadata__":{"a":"1"}}'), 8 + 26);
    expect(metadata.a).to.equal('1');
    expect(metadata.constructor).to.be.undefined;
  });
});
