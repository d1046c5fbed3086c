/**
 * Reads and writes tensors as NumPy's `.npy` files, versions 1.0 to 3.0: a magic string, a version, the header's
 * length, the header (a Python dict of `descr`, `fortran_order` and `shape`), and the elements.
 * Source: the docstring of `numpy.lib.format`.
 */
import { isUint8Array } from '../arrays.js';
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

const MAGIC = Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]); // \x93NUMPY
const ALIGNMENT = 64;

/** NumPy reads no longer header, and no tensor needs one: its dtype is simple, and it has at most 64 axes. */
const MAX_HEADER = 10_000;
const MAX_RANK = 64;

/** The codes that NumPy writes, after the byte order. */
const CODES: readonly (readonly [code: string, dtype: DType])[] = [
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
];
const CODE_OF = new Map(CODES.map(([code, dtype]) => [dtype, code]));

/** What NumPy also reads after a byte order: the characters of C types, as they are on Linux and macOS. */
const CHARACTERS: Readonly<Partial<Record<DType, string>>> = {
  bool: '?',
  int8: 'b',
  uint8: 'B',
  int16: 'h',
  uint16: 'H',
  int32: 'i',
  uint32: 'I',
  int64: 'lqpn',
  uint64: 'LQPN',
  float16: 'e',
  float32: 'f',
  float64: 'd',
};

/** What NumPy also reads without a byte order, besides the dtypes' own names. */
const NAMES: Readonly<Partial<Record<DType, string>>> = {
  bool: 'bool_',
  int8: 'byte',
  uint8: 'ubyte',
  int16: 'short',
  uint16: 'ushort',
  int32: 'intc',
  uint32: 'uintc',
  int64: 'int int_ intp long longlong',
  uint64: 'uint uintp ulong ulonglong',
  float16: 'half',
  float32: 'single',
  float64: 'double float',
};

const BY_CODE = new Map<string, DType>(
  CODES.flatMap(([code, dtype]) => [code, ...CHARACTERS[dtype]!].map((text) => [text, dtype] as const)),
);
const BY_NAME = new Map<string, DType>(
  CODES.flatMap(([, dtype]) => [dtype, ...NAMES[dtype]!.split(' ')].map((text) => [text, dtype] as const)),
);

/** How to make a `.npy` file of a file of another kind. */
const INSTEAD: Partial<Record<FileKind, string>> = {
  torch: "; in Python: numpy.save('x.npy', torch.load('x.pt').numpy())",
  zip: "; in Python: numpy.save('x.npy', torch.load('x.pt').numpy())",
  npz: ", of several arrays; in Python: numpy.save('x.npy', numpy.load('x.npz')['NAME'])",
  safetensors: "; in Python: numpy.save('x.npy', safetensors.numpy.load_file('x.safetensors')['NAME'])",
  lfs: "; 'git lfs pull' fetches the file itself",
  png: '; decodePng and toTensor of onnx-groupnorm/images make a tensor of it',
};

/** @param where What messages call the data: the file's path. */
const invalidNpy = (where: string, what: string): FileError =>
  new FileError('NPY_INVALID', `${where} is not a valid .npy file: ${what}`);

/**
 * Reads the tensor of a `.npy` file: integers, floats of at most 64 bits or bool in any spelling that NumPy reads,
 * either byte order, C or Fortran order. The tensor's data is a view of `bytes` if it can be, else a copy, so that it
 * takes no more memory than the file.
 * Source: the docstring of `numpy.lib.format`.
 * @param where What messages call the data: the file's path.
 * @throws FileError `NPY_INVALID` if the bytes break the format, hold another dtype, or are too few or too many.
 */
export function decodeNpy(bytes: Uint8Array, where = 'the data'): TensorData {
  const layout = readNpyHeader(bytes, where);
  requireDataSize(layout, bytes.byteLength, where);
  const { dataStart, dtype, shape, bigEndian, fortranOrder } = layout;
  const data = bytes.subarray(dataStart);
  const ordered = bigEndian || fortranOrder ? reorder(data, dtype, shape, bigEndian, fortranOrder) : data;
  return tensorFromBytes(dtype, shape, ordered);
}

/** The most bytes before the elements. */
export const NPY_START = MAGIC.length + 6 + MAX_HEADER;

/** Returns the bytes of memory that {@link decodeNpy} takes at most, the file's among them. */
export const npyMemory = ({ dataStart, size, dtype, bigEndian, fortranOrder }: NpyLayout): number =>
  dataStart +
  size *
    (1 +
      Number(bigEndian || fortranOrder) +
      Number(dtype === 'bool' || dataStart % bytesPerElement(dtype) > 0));

/**
 * Checks the header of a `.npy` file against the size of the file.
 * @param start The first {@link NPY_START} bytes of the file, or all.
 * @throws FileError `NPY_INVALID`
 */
export const checkNpyStart = (start: Uint8Array, fileSize: number, where: string): void =>
  requireDataSize(readNpyHeader(start, where), fileSize, where);

function requireDataSize(
  { dataStart, size, shape, descr }: NpyLayout,
  fileSize: number,
  where: string,
): void {
  const there = fileSize - dataStart;
  if (there === size) return;
  const difference = there < size ? 'it is truncated' : 'bytes follow its end';
  throw invalidNpy(
    where,
    `its header claims ${formatShape(shape)} of '${descr}', ${size} bytes, but ${there} follow: ${difference}`,
  );
}

/** What a header says, checked but for the number of bytes behind it. */
interface NpyLayout extends NpyHeader {
  /** Where the elements begin, in bytes from the start of the file. */
  readonly dataStart: number;
  /** The size of all elements in bytes. */
  readonly size: number;
  readonly dtype: DType;
  readonly bigEndian: boolean;
}

/**
 * Reads and checks the header of a `.npy` file.
 * @param bytes The file from its start, at least its header.
 * @throws FileError `NPY_INVALID`
 */
export function readNpyHeader(bytes: Uint8Array, where: string): NpyLayout {
  const { text, dataStart } = splitHeader(bytes, where);
  const header = parseNpyHeader(text, where);
  const { descr, shape } = header;
  if (shape.length > MAX_RANK) {
    throw invalidNpy(where, `it has ${shape.length} dimensions; NumPy allows ${MAX_RANK}`);
  }
  const { dtype, bigEndian } = parseDescr(descr, where);
  return { ...header, dataStart, size: elementCount(shape) * bytesPerElement(dtype), dtype, bigEndian };
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
  // Latin-1 in 1.0 and 2.0, UTF-8 in 3.0; a header that is accepted is ASCII, which is the same in both.
  const text = String.fromCharCode(...bytes.subarray(start, start + length));
  return { text, dataStart: start + length };
}

function requireMagic(bytes: Uint8Array, where: string): void {
  if (!isUint8Array(bytes)) {
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

/** What a header says, not yet checked against the data. */
interface NpyHeader {
  /** NumPy's name of the element type: byte order, kind, bytes (`<f4`). */
  readonly descr: string;
  /** Whether the first index varies fastest. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** `'key': value,`: the value is a string, a tuple, a list up to the end of the header, or a word. */
const ENTRY = /^ *('[^'\\]*'|"[^"\\]*") *: *('[^'\\]*'|"[^"\\]*"|\([^()]*\)|\[.*|[^ ,'"()[]*) *(?:,|$)/;

/** `()`, `(3,)`, `(3, 4)`; Python 2 wrote some integers with an L, and `(3)` is a number in Python. */
const SHAPE = /^\( *(?:(?:(?:0|[1-9]\d*)L? *, *)+(?:(?:0|[1-9]\d*)L? *)?)?\)$/;

/**
 * Parses the dict of a header, and never evaluates it: only what NumPy itself writes is accepted.
 * @throws FileError `NPY_INVALID`
 */
export function parseNpyHeader(text: string, where: string): NpyHeader {
  const dict = parseDict(text.replace(/[\t\r\n]/g, ' '), where);
  const { descr, fortran_order: fortranOrder, shape } = Object.fromEntries(dict);
  if (dict.size !== 3 || descr === undefined || fortranOrder === undefined || shape === undefined) {
    const keys = [...dict.keys()].join(', ');
    throw invalidNpy(where, `its header has the keys (${keys}), not (descr, fortran_order, shape)`);
  }
  if (!/^['"]/.test(descr)) throw invalidNpy(where, `descr must be a string, not ${descr}`);
  if (!/^(True|False)$/.test(fortranOrder)) {
    throw invalidNpy(where, `fortran_order must be True or False, not ${fortranOrder}`);
  }
  const sizes = (shape.match(/\d+/g) ?? []).map(Number);
  if (!SHAPE.test(shape) || !sizes.every(Number.isSafeInteger)) {
    throw invalidNpy(
      where,
      `shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is ${shape}`,
    );
  }
  return { descr: descr.slice(1, -1), fortranOrder: fortranOrder === 'True', shape: sizes };
}

/** The values of a dict by key, as they are written. */
function parseDict(text: string, where: string): Map<string, string> {
  const body = /^ *\{(.*)\} *$/.exec(text)?.[1];
  if (body === undefined) {
    const [first, last] = [text.slice(0, 10), text.slice(-10)];
    throw invalidNpy(
      where,
      `its header must be one dict, but begins with '${first}' and ends with '${last}'`,
    );
  }
  const dict = new Map<string, string>();
  for (let rest = body; !/^ *$/.test(rest);) {
    const [entry, quoted, value] = ENTRY.exec(rest) ?? [];
    if (entry === undefined) throw invalidNpy(where, `its header has an unexpected '${rest.slice(0, 20)}'`);
    if (value!.startsWith('[')) {
      throw invalidNpy(
        where,
        "arrays of records (structured dtypes) are not supported; save one field: numpy.save('x.npy', x['FIELD'])",
      );
    }
    const key = quoted!.slice(1, -1);
    if (dict.has(key)) throw invalidNpy(where, `its header has '${key}' twice`);
    dict.set(key, value!);
    rest = rest.slice(entry.length);
  }
  return dict;
}

/** A byte order, `=` and `|` meaning that of the machine that reads; then what is in {@link BY_CODE}. */
const WITH_ORDER = /^([<>=|]?)(.+)$/;

function parseDescr(descr: string, where: string): { dtype: DType; bigEndian: boolean } {
  const [, order = '', code = ''] = WITH_ORDER.exec(descr) ?? [];
  const dtype = BY_NAME.get(descr) ?? BY_CODE.get(code);
  if (dtype) return { dtype, bigEndian: order === '>' };
  const allowed = [...CODE_OF.values()].join(', ');
  throw invalidNpy(
    where,
    `dtype '${descr}' is not supported; allowed: < or > and one of ${allowed}; ${adviceFor(code)}`,
  );
}

/** Says how to convert an array in NumPy, which writes the floats of ml_dtypes (JAX, PyTorch) as void. */
function adviceFor(code: string): string {
  if (!code.startsWith('V')) return "in NumPy, x.astype('<f4') converts";
  return code === 'V2'
    ? "if x is bfloat16, (x.view('<u2').astype('<u4') << 16).view('<f4') converts in NumPy"
    : "say what the bytes hold: x.view(ml_dtypes.float8_e4m3fn).astype('<f4') converts in NumPy with ml_dtypes";
}

/** Copies the elements to C order and little-endian. Moves bytes, not numbers, so that every NaN keeps its bits. */
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

/** Returns a function that gives the place in Fortran order of one element after the other, in C order. */
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

/**
 * Returns the bytes that `numpy.save` writes for this tensor: version 1.0, little-endian, C order. NumPy has no
 * bfloat16: a bfloat16 tensor is written as float32, which holds each of its values.
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
  const descr = `${order}${CODE_OF.get(dtype)}`;
  const header = encodeHeader(formatNpyHeader(descr, dims));
  const body = tensorBytes({ data });
  const bytes = new Uint8Array(header.byteLength + body.byteLength);
  bytes.set(header);
  bytes.set(body, header.byteLength);
  return bytes;
}

/** Digits of the longest axis that NumPy leaves room for. */
const MOST_DIGITS = 21;

/** The text that NumPy writes for a C-order array, with room for a longer first axis: appending would lengthen it. */
export function formatNpyHeader(descr: string, shape: readonly number[]): string {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const room = shape.length === 0 ? '' : ' '.repeat(MOST_DIGITS - String(shape[0]).length);
  return `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }${room}`;
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
