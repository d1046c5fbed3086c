import { SessionError } from '../errors.js';
import { suggestion } from '../nearest.js';
import { formatShape, halfBits, tensor, type TensorData } from '../tensor.js';
import type { TensorInfo, TensorRecord } from './backend.js';

/**
 * Checks a session's inputs before the runtime sees them, and says all that is wrong with them at once.
 * @returns The same tensors, float16 as its bits.
 * @throws SessionError `INPUT_MISSING`, `INPUT_UNKNOWN`, `INPUT_DTYPE` or `INPUT_SHAPE`: the first problem's code.
 */
export function checkFeeds(inputs: readonly TensorInfo[], feeds: TensorRecord): TensorRecord {
  const given = feeds ?? {};
  const unknown = unknownInputs(inputs, Object.keys(given)).map((message): Problem => ({
    code: 'INPUT_UNKNOWN',
    message,
  }));
  const problems = [...inputs.flatMap((info) => problemOf(info, given)), ...unknown];
  const [first] = problems;
  if (!first) return asBits(given);
  const expected = inputs.map(describeInput).join('; ') || 'none';
  throw new SessionError(
    first.code,
    `${problems.map(({ message }) => message).join('; ')}. The model's inputs: ${expected}`,
  );
}

/** Tensors that were put together by hand may hold a Float16Array, which no runtime takes. */
export const asBits = (tensors: TensorRecord): TensorRecord =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => {
      const data = halfBits(value.data);
      return [name, data === value.data ? value : { ...value, data }];
    }),
  );

interface Problem {
  readonly code: 'INPUT_DTYPE' | 'INPUT_MISSING' | 'INPUT_SHAPE' | 'INPUT_UNKNOWN';
  readonly message: string;
}

function problemOf(info: TensorInfo, feeds: TensorRecord): Problem[] {
  const value = Object.hasOwn(feeds, info.name) ? feeds[info.name] : undefined;
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
  return inconsistency(info, value);
}

function shapeProblem({ name, shape }: TensorInfo, value: TensorData): string | undefined {
  if (!shape) return undefined;
  const is = `input '${name}' has shape ${formatShape(value.dims)}`;
  if (value.dims.length !== shape.length) {
    return `${is} of rank ${value.dims.length} but must be of rank ${shape.length}: ${formatShape(shape)}`;
  }
  const wrong = value.dims.findIndex((dim, axis) => typeof shape[axis] === 'number' && dim !== shape[axis]);
  if (wrong < 0) return undefined;
  return `${is} but must be ${formatShape(shape)}: dimension ${wrong} is ${value.dims[wrong]}`;
}

/** A TensorData that was put together by hand may contradict itself; ONNX Runtime would read past its end. */
function inconsistency(info: TensorInfo, { dtype, dims, data }: TensorData): Problem[] {
  try {
    tensor(dtype, dims, data);
    return [];
  } catch (error) {
    return [{ code: 'INPUT_SHAPE', message: `input '${info.name}': ${(error as Error).message}` }];
  }
}

/** Of `names` those that no input has, each with the name that may have been meant. */
export function unknownInputs(inputs: readonly TensorInfo[], names: Iterable<string>): string[] {
  const known = inputs.map(({ name }) => name);
  return [...names]
    .filter((name) => !known.includes(name))
    .map((name) => `'${name}' is not an input of the model${suggestion(name, known)}`);
}

/** `'x' float32 [N, 4, H, W]`. */
export const describeInput = (info: TensorInfo): string => `'${info.name}' ${describeType(info)}`;

/** `float32 [N, 4, H, W]`, or `float32 of any rank`. */
export const describeType = ({ dtype, shape }: TensorInfo): string =>
  `${dtype} ${shape ? formatShape(shape) : 'of any rank'}`;
