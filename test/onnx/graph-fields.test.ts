import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphFields, joinChunks, textField } from '../../lib/onnx/splice.js';
import { all, message, text } from './bytes.js';

const TEXT = 2 * 8 + 2;
const texts = (graph: GraphFields): string[] => graph.collect(TEXT, (field) => field.text());

describe('the fields of a graph', () => {
  const sample = () => new GraphFields(all(text(2, 'a'), message(5, [1]), text(2, 'b')));

  it('are read in order, those that were put in among them', () => {
    const graph = sample();
    graph.prepend(TEXT, [Buffer.from('p'), Buffer.from('q')]);
    graph.append(TEXT, [Buffer.from('z')]);
    graph.splice((field) => {
      if (field.tag !== TEXT || field.text() !== 'b') return undefined;
      return [...textField(TEXT, 'c'), ...textField(TEXT, 'd')];
    });
    expect(texts(graph)).to.deep.equal(['p', 'q', 'a', 'c', 'd', 'z']);
    const expected = all(
      ...['p', 'q', 'a'].map((x) => text(2, x)),
      message(5, [1]),
      ...['c', 'd', 'z'].map((x) => text(2, x)),
    );
    expect([...joinChunks(graph.chunks)]).to.deep.equal([...expected]);
  });

  it('can be changed once more where they were changed before', () => {
    const graph = sample();
    for (let pass = 0; pass < 3; pass++) {
      graph.splice((field) => (field.tag === TEXT ? textField(TEXT, `${field.text()}!`) : undefined));
    }
    expect(texts(graph)).to.deep.equal(['a!!!', 'b!!!']);
  });

  it('can be changed once more where some were taken out', () => {
    const graph = sample();
    graph.splice((field) => (field.tag === TEXT && field.text() === 'a' ? [] : undefined));
    graph.splice((field) => (field.tag === TEXT ? textField(TEXT, 'c') : undefined));
    expect(texts(graph)).to.deep.equal(['c']);
  });

  it('are the bytes they were read from, and not copies, where nothing changed', () => {
    const bytes = all(text(2, 'a'), message(5, new Array<number>(1000).fill(7)));
    const graph = new GraphFields(bytes);
    graph.splice((field) => (field.tag === TEXT ? textField(TEXT, 'b') : undefined));
    expect(graph.chunks.at(-1)!.buffer).to.equal(bytes.buffer);
  });
});
