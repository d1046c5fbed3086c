import { expect } from 'chai';
import { describe, it } from 'mocha';
import { joinChunks, spliceRuns, spliceWithin, textField } from '../../lib/onnx/protobuf/chunks.js';
import { WireReader } from '../../lib/onnx/protobuf/wire.js';
import { all, int, message, text } from './bytes.js';

const BYTES = all(int(1, 1), text(2, 'a'), int(1, 2), text(2, 'b'), int(9, 3));
const TEXT = 2 * 8 + 2;

describe('spliceRuns and spliceWithin', () => {
  it('spliceRuns and spliceWithin replace some fields and keep the rest as views, unknown fields too', () => {
    const runs = spliceRuns(WireReader.of(BYTES), (field) =>
      field.tag === TEXT ? textField(TEXT, `${field.text()}${field.text()}`) : undefined,
    )!;
    const expected = all(int(1, 1), text(2, 'aa'), int(1, 2), text(2, 'bb'), int(9, 3));
    expect([...joinChunks(runs.flat())]).to.deep.equal([...expected]);
    expect(runs).to.have.lengthOf(5);
    for (const index of [0, 2, 4]) expect(runs[index]![0]!.buffer).to.equal(BYTES.buffer);
  });

  it('spliceRuns and spliceWithin return undefined if no field changes', () => {
    expect(spliceRuns(WireReader.of(BYTES), () => undefined)).to.equal(undefined);
  });

  it('spliceRuns and spliceWithin remove fields that have an empty replacement, also all of them', () => {
    const removed = spliceRuns(WireReader.of(BYTES), ({ tag }) => (tag === TEXT ? [] : undefined))!;
    expect([...joinChunks(removed.flat())]).to.deep.equal([...all(int(1, 1), int(1, 2), int(9, 3))]);
    expect(joinChunks(spliceRuns(WireReader.of(BYTES), () => [])!.flat())).to.have.lengthOf(0);
  });

  it('spliceRuns and spliceWithin write the new length of a field whose content changed', () => {
    const reader = WireReader.of(all(message(20, text(2, 'a'), int(9, 3))));
    reader.next();
    const long = 'x'.repeat(200);
    const chunks = spliceWithin(reader, ({ tag }) => (tag === TEXT ? textField(TEXT, long) : undefined))!;
    expect([...joinChunks(chunks)]).to.deep.equal([...all(message(20, text(2, long), int(9, 3)))]);
  });
});
