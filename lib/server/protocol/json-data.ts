/** The elements of a tensor in the JSON of a request: flat or fully nested lists in row-major order. */
import { RequestError } from '../../errors.js';
import type { JsonReader } from '../../files/json-reader.js';
import {
  allocate,
  type AnyTensor,
  type DType,
  elementCount,
  formatShape,
  type TensorData,
} from '../../tensor.js';
import { datatypeOf, hasJsonForm } from './datatypes.js';
import type { Steps } from './steps.js';

/** What a tensor in the JSON of a request must be. */
export interface JsonTensorType {
  /** Its name for messages: `input 'x'`. */
  readonly what: string;
  readonly dtype: DType | 'string';
  readonly dims: readonly number[];
}

/**
 * Reads the list that stands at the reader's place as the elements of a tensor.
 * @throws RequestError `INPUT_DATA`; SyntaxError where the text is not JSON.
 */
export function* readJsonData(reader: JsonReader, type: JsonTensorType): Steps<AnyTensor> {
  const { what, dtype, dims } = type;
  if (!hasJsonForm(dtype)) {
    const remedy = "send it as binary data, with the parameter 'binary_data_size'";
    throw new RequestError('INPUT_DATA', `${what}: JSON has no form for ${datatypeOf(dtype)}; ${remedy}`);
  }
  if (reader.peek() !== '[') throw wrong(type, `'data' must be a list`);
  const { data, row } = dtype === 'string' ? textRows(reader, type) : numberRows(reader, type, dtype);
  if (opensNestedList(reader)) yield* nestedRows(reader, type, row);
  else yield* row(0, elementCount(dims));
  return { dtype, dims, data } as AnyTensor;
}

/** Reads a list of exactly `length` elements to the place `offset` of the tensor. */
type ReadRow = (offset: number, length: number) => Steps<void>;

interface Rows {
  readonly data: AnyTensor['data'];
  readonly row: ReadRow;
}

function opensNestedList(reader: JsonReader): boolean {
  const { place } = reader;
  const isNested = reader.elements().next().done !== true && reader.peek() === '[';
  reader.goTo(place);
  return isNested;
}

/** Reads lists that nest as the dimensions do. */
function* nestedRows(reader: JsonReader, type: JsonTensorType, row: ReadRow): Steps<void> {
  const { dims } = type;
  let offset = 0;
  function* read(axis: number): Steps<void> {
    if (axis >= dims.length) throw wrong(type, 'its lists nest deeper than the shape');
    const length = dims[axis]!;
    if (axis === dims.length - 1) {
      yield* row(offset, length);
      offset += length;
      return;
    }
    let count = 0;
    for (const index of reader.elements()) {
      if (reader.peek() !== '[')
        throw wrong(type, 'its data must be one flat list, or nest in every dimension');
      if (index < length) yield* read(axis + 1);
      count = index + 1;
      if (count > length) break;
    }
    requireLength(type, count, length);
  }
  yield* read(0);
}

/** UTF-8, and so ONNX, has no form for half a pair. */
const LONE_SURROGATE = /\p{Cs}/u;

function textRows(reader: JsonReader, type: JsonTensorType): Rows {
  const data: string[] = [];
  return {
    data,
    *row(_offset, length) {
      let count = 0;
      for (const index of reader.elements()) {
        if (reader.peek() !== '"') throw wrong(type, `element ${data.length} is not a text`);
        const text = reader.string();
        if (LONE_SURROGATE.test(text)) throw wrong(type, `element ${data.length} has half a surrogate pair`);
        if (index >= length) throw wrongLength(type, `more than ${length}`, length);
        data.push(text);
        count++;
        yield;
      }
      requireLength(type, count, length);
    },
  };
}

function numberRows(reader: JsonReader, type: JsonTensorType, dtype: DType): Rows {
  const data = allocate(dtype, elementCount(type.dims));
  const parse = dtype === 'int64' || dtype === 'uint64' ? parseBigInts : parseNumbers;
  return {
    data,
    *row(offset, length) {
      let count = 0;
      for (const piece of reader.pieces()) {
        const values = parse(type, piece);
        if (count + values.length > length) throw wrongLength(type, `more than ${length}`, length);
        store(type, data, offset + count, values);
        count += values.length;
        yield;
      }
      requireLength(type, count, length);
    },
  };
}

/** Writes elements into the tensor. An array of integers keeps other values than it was given: those are refused. */
function store(
  type: JsonTensorType,
  data: TensorData['data'],
  offset: number,
  values: readonly (number | bigint)[],
): void {
  const target = data as { [index: number]: number | bigint };
  const isFloat = data instanceof Float32Array || data instanceof Float64Array;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    target[offset + i] = value;
    const stored = target[offset + i]!;
    if (isFloat ? Number.isFinite(stored) : stored === value) continue;
    throw wrong(type, `element ${offset + i} is ${value}, which ${datatypeOf(type.dtype)} cannot hold`);
  }
}

function parseNumbers(type: JsonTensorType, piece: string): (number | bigint)[] {
  const wanted = type.dtype === 'bool' ? 'boolean' : 'number';
  const values = parsePiece(type, piece);
  for (const value of values) {
    if (typeof value === wanted) continue;
    const [form, found] = [wanted === 'boolean' ? 'true or false' : 'a number', JSON.stringify(value)];
    throw wrong(type, `every element must be ${form}, not ${found.slice(0, 40)}`);
  }
  return wanted === 'boolean' ? values.map(Number) : (values as number[]);
}

function parsePiece(type: JsonTensorType, piece: string): unknown[] {
  try {
    const values = JSON.parse(`[${piece}]`) as unknown[];
    if (values.length > 0) return values;
  } catch {
    const name = /\b(?:NaN|Infinity)\b/.exec(piece)?.[0];
    if (name !== undefined) throw wrong(type, `JSON has no ${name}; send the tensor as binary data`);
  }
  throw wrong(type, 'its data is not a list of numbers with commas between them');
}

/** An integer of up to 20 digits: no more fit into 64 bits. */
const INTEGER = /^[ \t\r\n]*(-?(?:0|[1-9]\d{0,19}))[ \t\r\n]*$/;

/** `JSON.parse` would round integers beyond 2^53. */
function parseBigInts(type: JsonTensorType, piece: string): bigint[] {
  return piece.split(',').map((text) => {
    const digits = INTEGER.exec(text)?.[1];
    if (digits !== undefined) return BigInt(digits);
    const [value] = parseNumbers(type, text);
    if (Number.isSafeInteger(value)) return BigInt(value!);
    throw wrong(
      type,
      `element ${text.trim().slice(0, 40)} is not an integer that ${datatypeOf(type.dtype)} holds`,
    );
  });
}

function requireLength(type: JsonTensorType, count: number, length: number): void {
  if (count !== length) throw wrongLength(type, String(count), length);
}

const wrongLength = (type: JsonTensorType, found: string, length: number): RequestError =>
  wrong(type, `a list has ${found} elements where the shape ${formatShape(type.dims)} needs ${length}`);

const wrong = ({ what }: JsonTensorType, problem: string): RequestError =>
  new RequestError('INPUT_DATA', `${what}: ${problem}`);
