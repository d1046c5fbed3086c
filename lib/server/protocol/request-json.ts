/** Reads the JSON of an inference request member by member. Unknown members are passed over; the known ones are checked. */
import { RequestError } from '../../errors.js';
import type { JsonReader } from '../../files/json-reader.js';
import type { AnyTensor } from '../../tensor.js';
import type { Steps } from './steps.js';

/** An input as the request gives it. */
export interface GivenInput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** The parameter `binary_data_size`. */
  readonly binarySize?: number;
  /** The tensor of `data`. */
  readonly data?: AnyTensor;
}

/** An output as the request asks for it. */
interface GivenOutput {
  readonly name: string;
  /** The parameter `binary_data`. */
  readonly binary: boolean | undefined;
}

/** A request as its JSON gives it. */
export interface GivenRequest {
  readonly id: string | undefined;
  readonly inputs: readonly GivenInput[];
  readonly outputs: readonly GivenOutput[];
  /** The parameter `binary_data_output`. */
  readonly binaryOutputs: boolean;
  /** The parameter `timeout`, in milliseconds; `undefined` if the request has no limit, or 0. */
  readonly timeout: number | undefined;
}

/** Reads the list `data` of an input whose name, datatype and shape are known. */
export type ReadData = (reader: JsonReader, input: GivenInput) => Steps<AnyTensor>;

/** The most dimensions of a shape, and how deep members that the server does not know may nest. */
const [MAX_RANK, MAX_DEPTH] = [64, 64];

/**
 * Reads a whole request.
 * @throws RequestError `JSON_INVALID`, `REQUEST_INVALID` or what `readData` throws.
 */
export function* readRequestJson(reader: JsonReader, readData: ReadData): Steps<GivenRequest> {
  try {
    const request = yield* readRequest(reader, readData);
    reader.end();
    return request;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RequestError('JSON_INVALID', `the request's JSON is invalid: ${error.message}`, {
      cause: error,
    });
  }
}

function* readRequest(reader: JsonReader, readData: ReadData): Steps<GivenRequest> {
  let id: string | undefined;
  let parameters: Parameters = new Map();
  let inputs: GivenInput[] | undefined;
  let outputs: GivenOutput[] = [];
  yield* readObject(reader, 'the request', {
    *id() {
      id = readText(reader, "'id'");
    },
    *parameters() {
      parameters = yield* readParameters(reader, 'the request');
    },
    *inputs() {
      inputs = yield* readList(reader, "'inputs'", (index) => readInput(reader, `input ${index}`, readData));
    },
    *outputs() {
      outputs = yield* readList(reader, "'outputs'", (index) => readOutput(reader, `output ${index}`));
    },
  });
  if (!inputs) throw invalid("the request has no 'inputs'; give a list of tensors");
  return {
    id,
    inputs,
    outputs,
    binaryOutputs: flag(parameters, 'binary_data_output', 'the request') ?? false,
    timeout: milliseconds(parameters),
  };
}

function* readInput(reader: JsonReader, place: string, readData: ReadData): Steps<GivenInput> {
  let name: string | undefined;
  let datatype: string | undefined;
  let shape: number[] | undefined;
  let parameters: Parameters = new Map();
  let data: AnyTensor | undefined;
  /** Where `data` begins, if it stands before what tells its size. */
  let dataPlace: number | undefined;
  const given = (): GivenInput => {
    if (name === undefined) throw invalid(`${place} has no 'name'`);
    if (datatype === undefined) throw invalid(`input '${name}' has no 'datatype'`);
    if (shape === undefined) throw invalid(`input '${name}' has no 'shape'`);
    return { name, datatype, shape };
  };
  yield* readObject(reader, place, {
    *name() {
      name = readText(reader, `'name' of ${place}`);
    },
    *datatype() {
      datatype = readText(reader, `'datatype' of ${place}`);
    },
    *shape() {
      shape = readShape(reader, place);
    },
    *parameters() {
      parameters = yield* readParameters(reader, place);
    },
    *data() {
      if (name !== undefined && datatype !== undefined && shape !== undefined) {
        data = yield* readData(reader, given());
      } else {
        dataPlace = reader.place;
        yield* passOver(reader);
      }
    },
  });
  const input = given();
  if (dataPlace !== undefined) {
    const end = reader.place;
    reader.goTo(dataPlace);
    data = yield* readData(reader, input);
    reader.goTo(end);
  }
  const binarySize = size(parameters, 'binary_data_size', `input '${name}'`);
  refuseSharedMemory(parameters, `input '${name}'`);
  return { ...input, ...(data && { data }), ...(binarySize !== undefined && { binarySize }) };
}

function* readOutput(reader: JsonReader, place: string): Steps<GivenOutput> {
  let name: string | undefined;
  let parameters: Parameters = new Map();
  yield* readObject(reader, place, {
    *name() {
      name = readText(reader, `'name' of ${place}`);
    },
    *parameters() {
      parameters = yield* readParameters(reader, place);
    },
  });
  if (name === undefined) throw invalid(`${place} has no 'name'`);
  const what = `output '${name}'`;
  refuseSharedMemory(parameters, what);
  if ((size(parameters, 'classification', what) ?? 0) > 0) {
    throw invalid(`${what}: this server does not have the classification extension; take the scores`);
  }
  return { name, binary: flag(parameters, 'binary_data', what) };
}

/** Reads an object: the members that `readers` knows by these, each at most once, and passes over the others. */
function* readObject(
  reader: JsonReader,
  what: string,
  readers: Readonly<Record<string, () => Steps<void>>>,
): Steps<void> {
  requireFirst(reader, '{', `${what} must be a JSON object`);
  const seen = new Set<string>();
  for (const key of reader.members()) {
    if (!Object.hasOwn(readers, key)) {
      yield* passOver(reader);
      continue;
    }
    if (seen.has(key)) throw invalid(`${what} has '${key}' twice`);
    seen.add(key);
    yield* readers[key]!();
  }
}

/** Requires the first character of a value, which tells its kind. */
function requireFirst(reader: JsonReader, first: string, problem: string): void {
  const found = reader.peek();
  if (found === '') throw new SyntaxError('it ends too early');
  if (found !== first) throw invalid(problem);
}

function* readList<T>(reader: JsonReader, what: string, read: (index: number) => Steps<T>): Steps<T[]> {
  requireFirst(reader, '[', `${what} must be a list`);
  const list: T[] = [];
  for (const index of reader.elements()) list.push(yield* read(index));
  return list;
}

function readText(reader: JsonReader, what: string): string {
  requireFirst(reader, '"', `${what} must be a text`);
  return reader.string();
}

function readShape(reader: JsonReader, place: string): number[] {
  const shape: number[] = [];
  requireFirst(reader, '[', `'shape' of ${place} must be a list of sizes`);
  for (const index of reader.elements()) {
    if (index === MAX_RANK) throw invalid(`'shape' of ${place} has more than ${MAX_RANK} dimensions`);
    const dim = reader.size();
    if (dim === undefined)
      throw invalid(`'shape' of ${place}: dimension ${index} is not an integer of at least 0`);
    shape.push(dim);
  }
  return shape;
}

type Parameters = Map<string, string | number | boolean>;
/** The start of the names that Triton keeps for itself: its clients must not send them. */
const RESERVED = 'triton_';
/** The parameters that this server reads, or refuses. All others are passed over once their type is checked. */
const READ_PARAMETERS = new Set([
  'binary_data',
  'binary_data_output',
  'binary_data_size',
  'classification',
  'shared_memory_region',
  'timeout',
]);

function* readParameters(reader: JsonReader, what: string): Steps<Parameters> {
  const parameters: Parameters = new Map();
  requireFirst(reader, '{', `'parameters' of ${what} must be an object`);
  for (const key of reader.members()) {
    const value = readParameter(reader, `parameter '${key}' of ${what}`);
    if (parameters.has(key)) throw invalid(`${what} has the parameter '${key}' twice`);
    if (key.startsWith(RESERVED))
      throw invalid(`parameter '${key}' of ${what}: names with ${RESERVED} are reserved`);
    if (READ_PARAMETERS.has(key)) parameters.set(key, value);
    yield;
  }
  return parameters;
}

function readParameter(reader: JsonReader, what: string): string | number | boolean {
  const first = reader.peek();
  if (first === '"') return reader.string();
  if (/[-\d]/.test(first)) return reader.number();
  const value = /[tfn]/.test(first) ? reader.literal() : null;
  if (value === null) throw invalid(`${what} must be a text, a number, true or false`);
  return value;
}

function flag(parameters: Parameters, key: string, what: string): boolean | undefined {
  const value = parameters.get(key);
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`parameter '${key}' of ${what} must be true or false`);
}

function size(parameters: Parameters, key: string, what: string): number | undefined {
  const value = parameters.get(key);
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0)) return value as number;
  throw invalid(`parameter '${key}' of ${what} must be an integer of at least 0`);
}

/** The protocol counts microseconds. */
function milliseconds(parameters: Parameters): number | undefined {
  const microseconds = size(parameters, 'timeout', 'the request') ?? 0;
  return microseconds > 0 ? microseconds / 1000 : undefined;
}

function refuseSharedMemory(parameters: Parameters, what: string): void {
  if (!parameters.has('shared_memory_region')) return;
  throw invalid(
    `${what}: this server does not have the shared memory extensions; send the tensor in the body`,
  );
}

/** Passes over a value of any kind, with pauses. */
function* passOver(reader: JsonReader, depth = 0): Steps<void> {
  const first = reader.peek();
  if (first !== '{' && first !== '[') return reader.skip();
  if (depth === MAX_DEPTH) throw new SyntaxError(`lists or objects are nested more than ${MAX_DEPTH} deep`);
  const parts = first === '{' ? reader.members() : reader.elements();
  while (!parts.next().done) {
    yield* passOver(reader, depth + 1);
    yield;
  }
}

const invalid = (problem: string): RequestError => new RequestError('REQUEST_INVALID', problem);
