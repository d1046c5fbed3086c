/** Checks of the tensors that go into and come out of a session, before ONNX Runtime sees them. */
import { ModelError, OptionError, SessionError } from '../../errors.js';
import { suggestion } from '../../nearest.js';
import {
  type AnyTensor,
  copyTensor,
  type DType,
  type ElementArray,
  elementCount,
  formatShape,
  halfBits,
  isStringTensor,
  tensor,
  tensorBytes,
  type TensorData,
} from '../../tensor.js';
import type {
  AnyTensorRecord,
  Feeds,
  NameSet,
  OrtTensor,
  TensorInfo,
  TensorLike,
  TensorRecord,
} from './contract.js';
import { wrongOutput } from './errors.js';
import { cutText } from './workarounds.js';

/**
 * Checks the inputs of a run, and reports everything that is wrong in one error.
 * @returns The same tensors, with float16 data as Uint16Array, and those of onnxruntime as this library's.
 * @throws SessionError `INPUT_MISSING`, `INPUT_UNKNOWN`, `INPUT_DTYPE` or `INPUT_SHAPE`: the code of the first problem.
 */
export function checkFeeds(inputs: readonly TensorInfo[], feeds: Feeds): AnyTensorRecord {
  const given = ownTensors(feeds ?? {});
  const unknown = unknownInputs(inputs, Object.keys(feeds ?? {})).map((message): FeedProblem => ({
    code: 'INPUT_UNKNOWN',
    message,
  }));
  const problems = [...inputs.flatMap((info) => feedProblems(info, given)), ...unknown];
  const [first] = problems;
  if (!first) return asBits(given);
  const expected = inputs.map(describeInput).join('; ') || 'none';
  throw new SessionError(
    first.code,
    `${problems.map(({ message }) => message).join('; ')}. The model's inputs: ${expected}`,
  );
}

interface FeedProblem {
  readonly code: 'INPUT_DTYPE' | 'INPUT_MISSING' | 'INPUT_SHAPE' | 'INPUT_UNKNOWN';
  readonly message: string;
}

function feedProblems(info: TensorInfo, feeds: AnyTensorRecord): FeedProblem[] {
  const value = Object.hasOwn(feeds, info.name) ? feeds[info.name] : undefined;
  if (value === undefined && info.optional) return [];
  if (!value) return [{ code: 'INPUT_MISSING', message: `input '${info.name}' is missing` }];
  if (typeof value !== 'object' || !('dtype' in value) || !Array.isArray(value.dims)) {
    const message = `input '${info.name}' is not a tensor: make one with tensor('${info.dtype}', dims, data)`;
    return [{ code: 'INPUT_DTYPE', message }];
  }
  if (value.dtype !== info.dtype) {
    return [
      { code: 'INPUT_DTYPE', message: `input '${info.name}' is ${value.dtype} but must be ${info.dtype}` },
    ];
  }
  const shape = shapeProblem(info, value);
  if (shape) return [{ code: 'INPUT_SHAPE', message: shape }];
  const wrong = inconsistency(info, value);
  const cut = wrong.length === 0 ? cutText(value) : undefined;
  return cut === undefined ? wrong : [{ code: 'INPUT_DTYPE', message: `input '${info.name}': ${cut}` }];
}

/** Returns a tensor of onnxruntime as this library's, with the same data; any other value as it is. */
export function toOwnTensor(value: TensorLike | OrtTensor, name: string): AnyTensor {
  if (typeof value !== 'object' || value === null || 'dtype' in value || !('type' in value)) {
    return value as AnyTensor;
  }
  const { type, dims, location = 'cpu' } = value as OrtTensor & { location?: string };
  if (!location.startsWith('cpu')) {
    const remedy = 'give new ort.Tensor(type, await tensor.getData(), dims)';
    throw new SessionError(
      'INPUT_DTYPE',
      `the data of '${name}' are not on the CPU but '${location}': ${remedy}`,
    );
  }
  return { dtype: type, dims, data: value.data } as AnyTensor;
}

/** Returns the tensors of a record that is read once, those of onnxruntime as this library's, without any `undefined`. */
function ownTensors(tensors: Feeds): AnyTensorRecord {
  const own: Record<string, AnyTensor> = { ...(tensors as AnyTensorRecord) };
  for (const [name, value] of Object.entries(own)) {
    const tensor = toOwnTensor(value, name);
    if (tensor === undefined) delete own[name];
    else if (tensor !== value) own[name] = tensor;
  }
  return own;
}

const mapRecord = <From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From, name: string) => To,
): Record<string, To> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]));

function shapeProblem({ name, shape }: TensorInfo, value: AnyTensor): string | undefined {
  if (!shape) return undefined;
  const has = () => `input '${name}' has shape ${formatShape(value.dims)}`;
  if (value.dims.length !== shape.length) {
    return `${has()} of rank ${value.dims.length} but must be of rank ${shape.length}: ${formatShape(shape)}`;
  }
  const wrong = value.dims.findIndex((dim, axis) => typeof shape[axis] === 'number' && dim !== shape[axis]);
  if (wrong < 0) return undefined;
  return `${has()} but must be ${formatShape(shape)}: dimension ${wrong} is ${value.dims[wrong]}`;
}

/** Checks that dims and data agree: ONNX Runtime would read past the end of data that are too short. */
function inconsistency(info: TensorInfo, { dtype, dims, data }: AnyTensor): FeedProblem[] {
  try {
    tensor(dtype as DType, dims, data as ElementArray);
    return [];
  } catch (error) {
    return [{ code: 'INPUT_SHAPE', message: `input '${info.name}': ${(error as Error).message}` }];
  }
}

/** Returns a message for each of `names` that is not an input, with the most similar input name. */
export function unknownInputs(inputs: readonly TensorInfo[], names: Iterable<string>): string[] {
  const known = inputs.map(({ name }) => name);
  return [...names]
    .filter((name) => !known.includes(name))
    .map((name) => `'${name}' is not an input of the model${suggestion(name, known)}`);
}

/** Returns name, dtype and shape of an input: `'x' float32 [N, 4, H, W]`, with `(optional)` if it is. */
export const describeInput = (info: TensorInfo): string =>
  `'${info.name}' ${describeType(info)}${info.optional ? ' (optional)' : ''}`;

/**
 * Returns the name of each dimension of a value of known rank, or `undefined` for a fixed size. A dimension without a name gets
 * that of its value and its axis, such as `x.0`.
 */
export const dimNames = ({ name, shape }: TensorInfo): (string | undefined)[] =>
  shape!.map((dim, axis) => (typeof dim === 'number' ? undefined : dim || `${name}.${axis}`));

/** Returns dtype and shape: `float32 [N, 4, H, W]`, or `float32 of any rank`. */
const describeType = ({ dtype, shape }: TensorInfo): string =>
  dtype === undefined ? 'not a tensor' : `${dtype} ${shape ? formatShape(shape) : 'of any rank'}`;

/**
 * Requires that sessions can pass every input of a model.
 * @throws ModelError `MODEL_UNSUPPORTED` with the name of an input that is a sequence, a map or an optional value.
 */
export function requirePassable(inputs: readonly TensorInfo[]): void {
  const other = inputs.find(({ dtype }) => dtype === undefined);
  if (!other) return;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    `the model's input '${other.name}' is not a tensor of numbers or texts; sessions pass only these`,
  );
}

/**
 * Returns the names of the outputs that a run returns.
 * @param given The tensors that the caller gives for outputs.
 * @throws SessionError `OUTPUT_INVALID` for a name that the model does not have, and for an output that cannot be
 *   returned; OptionError `INVALID_OPTION` if `fetches` is not a list of names.
 */
export function checkFetches(
  infos: readonly TensorInfo[],
  fetches: readonly string[] | undefined,
  given: TensorRecord,
): readonly string[] {
  const all = infos.map(({ name }) => name);
  const list: unknown = fetches ?? all;
  const isList = Array.isArray(list) && list.every((name) => typeof name === 'string');
  if (!isList || list.length === 0) {
    throw new OptionError(
      'INVALID_OPTION',
      "run: 'fetches' must be a list of names of outputs, at least one",
    );
  }
  const wanted = [...new Set(list)];
  for (const name of wanted) {
    const info = infos.find((candidate) => candidate.name === name);
    if (!info) {
      fail(`'${name}' is not an output of the model${suggestion(name, all)}; it has: ${all.join(', ')}`);
    }
    if (info.dtype !== undefined) continue;
    const others = infos.filter(({ dtype }) => dtype !== undefined).map((one) => `'${one.name}'`);
    const remedy =
      others.length > 0 ? `: name the others, run(feeds, { fetches: [${others.join(', ')}] })` : '';
    fail(`output '${name}' is not a tensor of numbers or texts, and sessions return only these${remedy}`);
  }
  const unwanted = Object.keys(given).find((name) => !wanted.includes(name));
  if (unwanted !== undefined)
    fail(`there is a tensor for output '${unwanted}', but 'fetches' does not name it`);
  return wanted;
}

/**
 * Checks the tensors that the caller gives for outputs to be written into.
 * @returns The same tensors in the same memory, with float16 data as Uint16Array.
 * @throws SessionError `OUTPUT_INVALID` for a name, dtype or shape that the model does not have, for a resizable
 *   buffer, and for memory that another tensor of the run also uses.
 */
export function checkOutputs(
  infos: readonly TensorInfo[],
  given: Feeds,
  feeds: AnyTensorRecord,
): TensorRecord {
  const outputs = mapRecord(given, toOwnTensor);
  const names = infos.map(({ name }) => name);
  for (const [name, value] of Object.entries(outputs)) {
    const info = infos.find((candidate) => candidate.name === name);
    if (!info) {
      fail(`'${name}' is not an output of the model${suggestion(name, names)}; it has: ${names.join(', ')}`);
    }
    checkOutput(info, value);
  }
  checkDisjoint(outputs, feeds);
  return asBits(outputs) as TensorRecord;
}

function checkOutput(info: TensorInfo, value: AnyTensor): void {
  const { name, dtype, shape } = info;
  const refuse = (problem: string): never => fail(`output '${name}' is ${describeType(info)}${problem}`);
  if (typeof value !== 'object' || value === null) return refuse(`: ${String(value)} is not a tensor`);
  if (isStringTensor(value)) return refuse(': a run cannot write texts into a given tensor');
  try {
    tensor(value.dtype, value.dims, value.data);
  } catch (cause) {
    fail(`output '${name}': ${(cause as Error).message}`, cause);
  }
  const fits =
    value.dtype === dtype &&
    (!shape ||
      (value.dims.length === shape.length &&
        shape.every((dim, axis) => typeof dim === 'string' || dim === value.dims[axis])));
  if (!fits) refuse(`, but the tensor given for it is ${value.dtype} ${formatShape(value.dims)}`);
  const { resizable, growable } = value.data.buffer as { resizable?: boolean; growable?: boolean };
  if (resizable || growable)
    fail(
      `output '${name}' has a resizable buffer, which may change during the run; use a buffer of fixed length`,
    );
}

function checkDisjoint(outputs: AnyTensorRecord, feeds: AnyTensorRecord): void {
  const written = Object.entries(outputs);
  const all = [...Object.entries(feeds), ...written];
  for (const entry of written) {
    const [name, value] = entry;
    const other = all.find(
      (candidate) => candidate !== entry && (candidate[1] === value || overlaps(candidate[1], value)),
    );
    if (other) {
      fail(
        `output '${name}' shares its memory with '${other[0]}' of the same run; give each tensor its own memory`,
      );
    }
  }
}

function overlaps(a: AnyTensor, b: AnyTensor): boolean {
  if (isStringTensor(a) || isStringTensor(b)) return false;
  if (a.data.buffer !== b.data.buffer) return false;
  const [first, second] = [tensorBytes(a), tensorBytes(b)];
  return (
    first.byteOffset < second.byteOffset + second.byteLength &&
    second.byteOffset < first.byteOffset + first.byteLength
  );
}

function fail(message: string, cause?: unknown): never {
  throw new SessionError('OUTPUT_INVALID', message, { cause });
}

/** Returns the tensors with float16 data as Uint16Array: the caller may give a Float16Array, which no runtime takes. */
const asBits = (tensors: AnyTensorRecord): AnyTensorRecord =>
  Object.values(tensors).some(isHalfTensor)
    ? mapRecord(tensors, (value) =>
        isStringTensor(value) ? value : ({ ...value, data: halfBits(value.data) } as TensorData),
      )
    : tensors;

const isHalfTensor = (value: AnyTensor): boolean =>
  !isStringTensor(value) && halfBits(value.data) !== value.data;

/** Returns copies, for a run that reads its feeds later: the caller may change them meanwhile. */
export const copyTensors = (tensors: AnyTensorRecord): AnyTensorRecord => mapRecord(tensors, copyTensor);

/**
 * Requires that the memory of a given output is still there after the run.
 * @throws SessionError `OUTPUT_INVALID` if the caller has detached it, or disposed of the tensor, during the run.
 */
export function requireAttached(name: string, given: TensorData): void {
  if (given.data.length !== elementCount(given.dims)) fail(`output '${name}' was detached during the run`);
}

/**
 * Copies the result of output `name` into the tensor that the caller gave for it.
 * @returns The given tensor.
 * @throws SessionError `OUTPUT_INVALID` if the shapes differ.
 */
export function copyInto(name: string, given: TensorData, result: TensorData): TensorData {
  if (formatShape(given.dims) !== formatShape(result.dims)) throw wrongOutput(name, result.dims, given.dims);
  requireAttached(name, given);
  tensorBytes(given).set(tensorBytes(result));
  return given;
}

/** Returns `infos` with an undefined shape for `unranked` tensors, which ONNX Runtime describes like scalars. */
export const withOpenRanks = (infos: readonly TensorInfo[], unranked: NameSet): readonly TensorInfo[] =>
  infos.map((info) =>
    info.shape?.length === 0 && unranked.has(info.name) ? { ...info, shape: undefined } : info,
  );
