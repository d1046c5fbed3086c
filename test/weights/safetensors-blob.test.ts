import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { WeightsError } from '../../lib/errors.js';
import { openSafetensors } from '../../lib/weights/safetensors-blob.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { rejection } from '../support/temporary.js';

const SAMPLE = readFileSync(new URL('../samples/dtypes.safetensors', import.meta.url));

/** A Blob that keeps which parts of it were read. */
function recorded(bytes: Uint8Array) {
  const parts: [number, number][] = [];
  const blob = new Blob([Uint8Array.from(bytes)]);
  const slice = (start: number, end: number) => {
    parts.push([start, end]);
    return blob.slice(start, end);
  };
  return { parts, file: { name: 'model.safetensors', size: blob.size, slice } };
}

describe('safetensors files that a page is given', () => {
  it('a safetensors file from a Blob holds what the same bytes hold', async () => {
    const expected = decodeSafetensors(SAMPLE);
    const file = await openSafetensors(recorded(SAMPLE).file);
    expect(file.path).to.equal('model.safetensors');
    expect(file.metadata).to.deep.equal(expected.metadata);
    expect(await file.readAll()).to.deep.equal(expected.tensors);
  });

  it('a safetensors file from a Blob reads its header, and then only the tensors that are asked for', async () => {
    const { file, parts } = recorded(SAMPLE);
    const opened = await openSafetensors(file);
    const [name] = opened.keys();
    const { start, end } = opened.info(name!);
    expect(Math.max(...parts.map(([, to]) => to))).to.be.at.most(Math.max(256, start));
    parts.length = 0;
    await opened.read(name!);
    expect(parts).to.deep.equal([[start, end]]);
  });

  it('a safetensors file from a Blob is refused by name if it is invalid', async () => {
    const error = await rejection(openSafetensors(new Blob(['no weights']), 'notes.txt'));
    expect(error).to.be.instanceOf(WeightsError).with.property('code', 'SAFETENSORS_INVALID');
    expect((error as Error).message).to.include('notes.txt');
    expect(((await rejection(openSafetensors(new Blob([])))) as Error).message).to.include('the file');
  });
});
