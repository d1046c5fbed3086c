/**
 * The header of a `.npy` file: a Python dict literal of `descr`, `fortran_order` and `shape`.
 * Source: the docstring of `numpy.lib.format`.
 */
import { FileError } from '../errors.js';
import { castTensor } from '../half.js';
import {
  bytesPerElement,
  checkedTensor,
  type DType,
  elementCount,
  formatShape,
  tensorBytes,
  type TensorData,
  tensorFromBytes,
} from '../tensor.js';
import { type FileKind, KINDS, sniff } from './sniff.js';

/** What the header says, not yet checked against the data. */
export interface NpyHeader {
  /** NumPy's name of the element type: byte order, kind, bytes (`<f4`). */
  readonly descr: string;
  /** Whether the first index varies fastest. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

type Literal = string | boolean | readonly number[];

/** An error that says where (`where`: the file, or what else holds the data) and what. */
export const invalidNpy = (where: string, what: string): FileError =>
  new FileError('NPY_INVALID', `${where} is not a valid .npy file: ${what}`);

/**
 * The dict of `text`, which is never evaluated: only what NumPy itself writes is understood.
 * @throws FileError `NPY_INVALID`
 */
export function parseNpyHeader(text: string, where: string): NpyHeader {
  const dict = new DictParser(tokenize(text, where), where).parse();
  const [descr, fortranOrder, shape] = ['descr', 'fortran_order', 'shape'].map((key) => dict.get(key));
  if (dict.size !== 3 || descr === undefined || fortranOrder === undefined || shape === undefined) {
    const keys = [...dict.keys()].join(', ');
    throw invalidNpy(where, `its header has the keys (${keys}), not (descr, fortran_order, shape)`);
  }
  if (typeof descr !== 'string') throw invalidNpy(where, 'descr must be a string');
  if (typeof fortranOrder !== 'boolean') throw invalidNpy(where, 'fortran_order must be True or False');
  if (typeof shape !== 'object') throw invalidNpy(where, 'shape must be a tuple of integers');
  return { descr, fortranOrder, shape };
}

/** The text that NumPy writes for a C-order array: with room for the first axis, which appending would lengthen. */
export function formatNpyHeader(descr: string, shape: readonly number[]): string {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const room = shape.length === 0 ? '' : ' '.repeat(MOST_DIGITS - String(shape[0]).length);
  return `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }${room}`;
}

/** Digits of the longest axis that NumPy leaves room for. */
const MOST_DIGITS = 21;

/** Strings without escapes, integers (Python 2 wrote some of them with an L), booleans and punctuation. */
const TOKEN = /'[^'\\\n]*'|"[^"\\\n]*"|-?(?:0|[1-9]\d*)L?|True|False|[{}()[\]:,]/g;

function tokenize(text: string, where: string): readonly string[] {
  const strange = text.replace(TOKEN, '').replace(/[ \t\r\n]/g, '');
  if (strange) throw invalidNpy(where, `its header has an unexpected '${strange.slice(0, 20)}'`);
  return text.match(TOKEN) ?? [];
}

class DictParser {
  #at = 0;
  readonly #tokens: readonly string[];
  readonly #where: string;

  constructor(tokens: readonly string[], where: string) {
    this.#tokens = tokens;
    this.#where = where;
  }

  parse(): Map<string, Literal> {
    const dict = new Map<string, Literal>();
    this.#list('{', '}', () => {
      const key = this.#value();
      if (typeof key !== 'string') throw invalidNpy(this.#where, 'its header has a key that is no string');
      if (dict.has(key)) throw invalidNpy(this.#where, `its header has '${key}' twice`);
      this.#expect(':');
      dict.set(key, this.#value());
    });
    this.#expect(undefined);
    return dict;
  }

  #value(): Literal {
    const token = this.#tokens[this.#at];
    if (token === '(') return this.#shape();
    if (token === '[')
      throw invalidNpy(this.#where, 'arrays of records (structured dtypes) are not supported');
    this.#at++;
    if (token === 'True' || token === 'False') return token === 'True';
    if (token?.startsWith("'") || token?.startsWith('"')) return token.slice(1, -1);
    throw invalidNpy(this.#where, `its header has ${show(token)} where a value must be`);
  }

  #shape(): readonly number[] {
    const shape: number[] = [];
    const first = this.#at + 1;
    this.#list('(', ')', () => {
      const token = this.#tokens[this.#at++];
      const size = Number.parseInt(token ?? '', 10);
      if (!/^\d/.test(token ?? '') || !Number.isSafeInteger(size)) {
        throw invalidNpy(this.#where, `its shape has ${show(token)}; allowed: integers from 0 to 2^53 - 1`);
      }
      shape.push(size);
    });
    // Python takes `(3)` for the number 3.
    if (shape.length === 1 && this.#at === first + 2) throw invalidNpy(this.#where, 'shape must be a tuple');
    return shape;
  }

  /** Items between brackets with commas between them, and perhaps one after the last. */
  #list(open: string, close: string, item: () => void): void {
    this.#expect(open);
    while (this.#tokens[this.#at] !== close) {
      item();
      if (this.#tokens[this.#at] !== ',') break;
      this.#at++;
    }
    this.#expect(close);
  }

  #expect(wanted: string | undefined): void {
    const token = this.#tokens[this.#at++];
    if (token === wanted) return;
    throw invalidNpy(this.#where, `its header has ${show(token)} where ${show(wanted)} must be`);
  }
}

const show = (token: string | undefined): string => (token === undefined ? 'its end' : `'${token}'`);

// SECTION: Tensors as NumPy's `.npy` files, versions 1.0 to 3.0. Source: the docstring of `numpy.lib.format`.

const MAGIC = Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]); // \x93NUMPY
const ALIGNMENT = 64;

/** NumPy reads no longer header. It has no need of one: the arrays here have a simple dtype and 64 axes at most. */
const MAX_HEADER = 10_000;
const MAX_RANK = 64;

const DTYPE_OF = new Map<string, DType>([
  ['f4', 'float32'],
  ['f8', 'float64'],
  ['f2', 'float16'],
  ['i1', 'int8'],
  ['u1', 'uint8'],
  ['i2', 'int16'],
  ['u2', 'uint16'],
  ['i4', 'int32'],
  ['u4', 'uint32'],
  ['i8', 'int64'],
  ['u8', 'uint64'],
  ['b1', 'bool'],
]);

/** How to save as `.npy` what came as something else. */
const INSTEAD: Partial<Record<FileKind, string>> = {
  torch: "; in Python: numpy.save('x.npy', torch.load('x.pt').numpy())",
  zip: "; in Python: numpy.save('x.npy', torch.load('x.pt').numpy())",
  npz: ", of several arrays; in Python: numpy.save('x.npy', numpy.load('x.npz')['NAME'])",
  safetensors: "; in Python: numpy.save('x.npy', safetensors.numpy.load_file('x.safetensors')['NAME'])",
  lfs: "; 'git lfs pull' fetches the file itself",
  png: '; onnx-groupnorm run takes images with --image',
};
const KIND_OF = new Map([...DTYPE_OF].map(([kind, dtype]) => [dtype, kind]));

/**
 * The tensor of a `.npy` file: any numeric or bool dtype, either byte order, C or Fortran order. Its data is a
 * view of `bytes` where it can be, else a copy, so it takes no more memory than the file.
 * @param where what messages call the data: the file's path.
 * @throws FileError `NPY_INVALID` if the bytes break the format, hold another dtype, or are too few or too many.
 */
export function decodeNpy(bytes: Uint8Array, where = 'the data'): TensorData {
  const { text, dataStart } = splitHeader(bytes, where);
  const { descr, fortranOrder, shape } = parseNpyHeader(text, where);
  if (shape.length > MAX_RANK) {
    throw invalidNpy(where, `it has ${shape.length} dimensions; NumPy allows ${MAX_RANK}`);
  }
  const { dtype, bigEndian } = parseDescr(descr, where);
  const data = bytes.subarray(dataStart);
  const size = elementCount(shape) * bytesPerElement(dtype);
  if (data.byteLength !== size) {
    const difference = data.byteLength < size ? 'it is truncated' : 'bytes follow its end';
    throw invalidNpy(
      where,
      `its header claims ${formatShape(shape)} of '${descr}', ${size} bytes, but ${data.byteLength} follow: ${difference}`,
    );
  }
  const ordered = bigEndian || fortranOrder ? reorder(data, dtype, shape, bigEndian, fortranOrder) : data;
  return tensorFromBytes(dtype, shape, ordered);
}

/**
 * The bytes that `numpy.save` writes for this tensor: version 1.0, little-endian, C order. NumPy has no bfloat16:
 * a bfloat16 tensor is written as float32, which holds each of its values.
 * @throws FileError `NPY_INVALID` for a tensor of more than 64 dimensions, NumPy's limit.
 * @throws TensorError `TENSOR_INVALID` if the tensor contradicts itself.
 */
export function encodeNpy(source: TensorData): Uint8Array {
  const { dtype, dims, data } =
    source?.dtype === 'bfloat16' ? castTensor(source, 'float32') : checkedTensor(source);
  if (dims.length > MAX_RANK) {
    const what = `a tensor of ${dims.length} dimensions cannot be a .npy file`;
    throw new FileError('NPY_INVALID', `${what}; NumPy allows ${MAX_RANK}`);
  }
  const order = bytesPerElement(dtype) === 1 ? '|' : '<';
  const descr = `${order}${KIND_OF.get(dtype)}`;
  const header = encodeHeader(formatNpyHeader(descr, dims));
  const body = tensorBytes({ dtype, dims, data });
  const bytes = new Uint8Array(header.byteLength + body.byteLength);
  bytes.set(header);
  bytes.set(body, header.byteLength);
  return bytes;
}

/** Magic, version 1.0, length (u16), text; padded with 1 to 64 spaces so that it ends, with `\n`, on a multiple of 64. */
function encodeHeader(text: string): Uint8Array {
  const fixed = MAGIC.length + 4;
  const padding = ALIGNMENT - ((fixed + text.length + 1) % ALIGNMENT);
  const padded = new TextEncoder().encode(`${text}${' '.repeat(padding)}\n`);
  const bytes = new Uint8Array(fixed + padded.length);
  bytes.set(MAGIC);
  bytes.set([1, 0, padded.length & 0xff, padded.length >> 8], MAGIC.length);
  bytes.set(padded, fixed);
  return bytes;
}

function requireMagic(bytes: Uint8Array, where: string): void {
  if (!(bytes instanceof Uint8Array)) {
    throw invalidNpy(where, 'it must be given as its bytes, a Uint8Array, not as a path or anything else');
  }
  if (bytes.byteLength >= MAGIC.length + 4 && MAGIC.every((byte, i) => bytes[i] === byte)) return;
  const kind = sniff(bytes);
  const isOther = kind !== undefined && kind !== 'npy';
  const what = isOther
    ? `it is ${KINDS[kind]}${INSTEAD[kind] ?? ''}`
    : 'it does not begin with \\x93NUMPY and a version';
  throw invalidNpy(where, what);
}

function splitHeader(bytes: Uint8Array, where: string): { text: string; dataStart: number } {
  requireMagic(bytes, where);
  const version = `${bytes[6]}.${bytes[7]}`;
  if (!['1.0', '2.0', '3.0'].includes(version)) {
    throw invalidNpy(where, `its version is ${version}; allowed: 1.0, 2.0, 3.0`);
  }
  const start = MAGIC.length + 2 + (version === '1.0' ? 2 : 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (start > bytes.byteLength) throw invalidNpy(where, 'it ends within the length of its header');
  const length = version === '1.0' ? view.getUint16(8, true) : view.getUint32(8, true);
  const there = bytes.byteLength - start;
  if (length > MAX_HEADER) {
    throw invalidNpy(where, `its header claims ${length} bytes; allowed: at most ${MAX_HEADER}`);
  }
  if (length > there) {
    throw invalidNpy(where, `its header claims ${length} bytes, but only ${there} follow: it is truncated`);
  }
  // Latin-1 in 1.0 and 2.0, UTF-8 in 3.0; what the parser understands is ASCII, the same in both.
  const text = String.fromCharCode(...bytes.subarray(start, start + length));
  return { text, dataStart: start + length };
}

function parseDescr(descr: string, where: string): { dtype: DType; bigEndian: boolean } {
  const dtype = DTYPE_OF.get(descr.slice(1));
  const byteOrders = dtype && bytesPerElement(dtype) === 1 ? '|<>' : '<>';
  if (!dtype || !byteOrders.includes(descr[0]!)) {
    const allowed = [...KIND_OF.values()].join(', ');
    throw invalidNpy(
      where,
      `dtype '${descr}' is not supported; allowed: < or > and one of ${allowed}; in NumPy, x.astype('<f4') converts`,
    );
  }
  return { dtype, bigEndian: descr[0] === '>' };
}

/** The elements' bytes in C order and little-endian; bytes, not elements, are moved, so that every NaN keeps its bits. */
function reorder(
  bytes: Uint8Array,
  dtype: DType,
  dims: readonly number[],
  bigEndian: boolean,
  fortranOrder: boolean,
): Uint8Array {
  const width = bytesPerElement(dtype);
  const result = new Uint8Array(bytes.byteLength);
  const nextSource = fortranOrder ? fortranOffsets(dims) : undefined;
  for (let to = 0, element = 0; to < result.byteLength; to += width, element++) {
    const from = (nextSource?.() ?? element) * width;
    for (let i = 0; i < width; i++) result[to + i] = bytes[from + (bigEndian ? width - 1 - i : i)]!;
  }
  return result;
}

/** Where the elements, asked for in C order, lie in Fortran order. */
function fortranOffsets(dims: readonly number[]): () => number {
  const index = dims.map(() => 0);
  const strides = dims.map((_, axis) => elementCount(dims.slice(0, axis)));
  let next = 0;
  return () => {
    const offset = next;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      next += strides[axis]!;
      if (++index[axis]! < dims[axis]!) break;
      next -= dims[axis]! * strides[axis]!;
      index[axis] = 0;
    }
    return offset;
  };
}
