import { expect } from 'chai';
import { describe, it } from 'mocha';
import { renameInNode, renameTensor, renameValueInfo } from '../../lib/onnx/graph/graph-edits.js';
import { joinChunks } from '../../lib/onnx/protobuf/chunks.js';
import { WireReader } from '../../lib/onnx/protobuf/wire.js';
import { all, int, message, text } from './bytes.js';

type Field = readonly number[];

/** Returns the field with its `a` as `b`, or `undefined` if the field stays. */
function renamed(field: Field, rename: typeof renameInNode = renameInNode): number[] | undefined {
  const reader = WireReader.of(Uint8Array.from(field));
  reader.next();
  const chunks = rename(reader, (name) => (name === 'a' ? 'b' : name));
  return chunks && [...joinChunks(chunks)];
}

const node = (input: string, output: string, ...rest: Field[]) =>
  message(1, text(1, input), text(2, output), ...rest);
const METADATA = message(9, text(1, 'a'), text(2, 'a'));
/** An If whose branches are such graphs: attributes `g` and, as no operator has them, `graphs`. */
const branches = (...graphs: Field[][]) =>
  graphs.map((fields, index) => message(5, text(1, 'a'), message(index === 0 ? 6 : 11, ...fields)));

describe('renameInNode, renameTensor and renameValueInfo', () => {
  it('rename the inputs and outputs of a node, and no other field with the name', () => {
    const rest = [text(3, 'a'), text(4, 'a'), METADATA, int(77, 1)];
    expect(renamed(node('a', 'a', ...rest))).to.deep.equal([...all(node('b', 'b', ...rest))]);
    expect(renamed(node('c', 'd', ...rest))).to.equal(undefined);
  });

  it('rename a declaration and keep the rest of it', () => {
    const declared = (name: string) => message(13, text(1, name), message(2, text(6, 'a')), METADATA);
    expect(renamed(declared('a'), renameValueInfo)).to.deep.equal([...declared('b')]);
    expect(renamed(declared('c'), renameValueInfo)).to.equal(undefined);
  });

  it('rename outer values in bodies at any depth', () => {
    const nested = (name: string) => {
      const inner = node('c', 'd', ...branches([node(name, 'e')]));
      return node('c', 'y', ...branches([inner], [node(name, 'f')]));
    };
    expect(renamed(nested('a'))).to.deep.equal([...all(nested('b'))]);
  });

  it('renameInNode, renameTensor and renameValueInfo leave bodies that have their own value of the name', () => {
    const own: Field[] = [
      node('c', 'a'),
      message(11, text(1, 'a')),
      message(5, text(8, 'a')),
      message(15, message(1, text(8, 'a'))),
    ];
    for (const definition of own) {
      const inner = node('c', 'd', ...branches([node('a', 'e')]));
      const body = [inner, node('a', 'f'), definition];
      expect(renamed(node('c', 'y', ...branches(body)))).to.equal(undefined);
      expect(renamed(node('a', 'y', ...branches(body)))).to.deep.equal([
        ...all(node('b', 'y', ...branches(body))),
      ]);
    }
  });

  it('renameInNode, renameTensor and renameValueInfo do not take a declared type in a body for its own value', () => {
    const body = (name: string) => [node(name, 'e'), message(13, text(1, 'a')), message(12, text(1, 'e'))];
    expect(renamed(node('c', 'y', ...branches(body('a'))))).to.deep.equal([
      ...all(node('c', 'y', ...branches(body('b')))),
    ]);
  });

  it('rename a tensor', () => {
    const tensor = (name: string) =>
      message(5, int(1, 3), text(8, name), message(9, [1, 2, 3]), text(12, 'a'));
    expect(renamed(tensor('a'), renameTensor)).to.deep.equal([...all(tensor('b'))]);
    expect(renamed(tensor('c'), renameTensor)).to.equal(undefined);
  });
});
