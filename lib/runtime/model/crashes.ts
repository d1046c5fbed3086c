/**
 * Workarounds for models over which ONNX Runtime ends or hangs the process: a rule for each, which refuses the model before
 * ONNX Runtime sees it. The comment of a rule has the smallest model, how onnxruntime-node 1.30 fails on it, and whether Python's
 * ONNX Runtime 1.32 still does, and what upstream says of it, where a report or a change was found. Remove a rule when the
 * runtimes that this package depends on refuse or run its model.
 *
 * What depends on the values and sizes of a run's inputs cannot be judged before the run.
 */
import type { Model } from '../../onnx/model.js';
import type { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { elementCount, type Shape, type TensorData } from '../../tensor.js';
import { CONTRIB_DOMAIN } from '../../lowering/types.js';
import { UnsafeModelError } from '../core/errors.js';

/** What the rules ask of a node. */
export interface RuledNode {
  readonly name: string;
  /** `''` for ONNX's own operators. */
  readonly domain: string;
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly number: (attribute: string) => number | undefined;
  readonly numbers: (attribute: string) => readonly number[] | undefined;
  /** Returns how many integers or texts an attribute's list has; 0 if the node has no such attribute. */
  readonly lengthOf: (attribute: string) => number;
}

/** What is known of a node. */
export interface Known {
  readonly node: RuledNode;
  readonly shape: (input: number) => Shape | undefined;
  readonly constant: (input: number) => TensorData | undefined;
  /** Whether the node is in a body or a function. */
  readonly isNested: boolean;
}

/**
 * Refuses a model over which ONNX Runtime would end or hang the process.
 * @throws UnsafeModelError naming the node and what is wrong with it.
 */
export function requireNoCrash(model: Model, types: ValueTypes, where: string): void {
  requireNoSliceOfImpossible(model, types, where);
  for (const node of model.nodes)
    if (RULES.has(idOf(node)) && !model.isFunctionCall(node)) requireNoCrashOf(where, knownOf(types, node));
  const isRuled = (opType: string) => RULES.has(opType) || RULES.has(`${CONTRIB_DOMAIN}.${opType}`);
  if (![...model.nestedOpTypes()].some(isRuled)) return;
  for (const node of model.nestedNodes())
    if (!model.isFunctionCall(node)) requireNoCrashOf(where, { node, ...UNKNOWN });
}

const knownOf = (types: ValueTypes, node: RuledNode): Known => ({
  node,
  shape: (input) => types.typeOf(node.inputs[input]).shape,
  constant: (input) => types.constant(node.inputs[input]),
  isNested: types.inside !== undefined,
});

/**
 * Refuses the same in the bodies and functions of a model, as far as it depends on sizes and constants. Lowerings have not been
 * written yet: their bodies need no check.
 * @throws UnsafeModelError as {@link requireNoCrash}.
 */
export function requireNoCrashInside(types: ValueTypes, where: string): void {
  const { model } = types;
  const nested = model.nestedOpTypes();
  if (nested.size === 0) return;
  const hasSlice = nested.has('Slice') || model.nodes.some(({ opType }) => opType === 'Slice');
  if (!hasSlice && !RULED_BY_SIZES.some((opType) => nested.has(opType))) return;
  for (const inner of insideOf(types)) {
    if (hasSlice) requireNoImpossibleSize(inner, where);
    for (const node of inner.index.nodes) {
      const isRuled = RULED_BY_SIZES.includes(idOf(node)) && !model.isFunctionCall(node);
      if (isRuled) requireNoCrashOf(where, knownOf(inner, node));
    }
  }
}

/** Yields what is known within all bodies and functions, at any depth. */
function* insideOf(types: ValueTypes): Generator<ValueTypes, void> {
  for (const node of types.index.nodes) {
    for (const inner of types.within(node)) {
      yield inner;
      yield* insideOf(inner);
    }
  }
}

/**
 * Conv of x (1, 1, 4, 4) by w (1, 1, 9, 9), and a Slice of the result: SIGABRT in loading, because the result is inferred to have
 * sizes of -4. So are results of pools, ConvTranspose, Pad, Tile, Expand and Resize, and results whose sizes overflow 64 bits.
 */
function requireNoSliceOfImpossible(model: Model, types: ValueTypes, where: string): void {
  const hasSlice = model.nodes.some(({ opType }) => opType === 'Slice') || model.nestedOpTypes().has('Slice');
  if (!hasSlice) return;
  for (const { name, type } of model.index.boundary) {
    const sizes = (type?.shape ?? []).filter((dim) => typeof dim === 'number');
    if (elementCount(sizes) > Number.MAX_SAFE_INTEGER)
      throw sliceOf(`${where}: '${name}' is declared with more elements than any tensor has`);
  }
  requireNoImpossibleSize(types, where);
}

function requireNoImpossibleSize(types: ValueTypes, where: string): void {
  const { node, size } = types.impossibleSize ?? {};
  if (!node) return;
  const result = `the result of ${idOf(node)} '${node.name || node.outputs[0]}'`;
  throw sliceOf(`${where}: ${result} would have a size of ${size}`);
}

const sliceOf = (problem: string): UnsafeModelError =>
  new UnsafeModelError(
    `${problem}. ONNX Runtime would end the process over a Slice of such a tensor; correct the model`,
  );

const UNKNOWN = { shape: () => undefined, constant: () => undefined, isNested: true };

const idOf = ({ domain, opType }: RuledNode): string => (domain === '' ? opType : `${domain}.${opType}`);

/**
 * Refuses a node that a rule finds wrong.
 * @throws UnsafeModelError
 */
export function requireNoCrashOf(where: string, known: Known): void {
  const { node } = known;
  const problem = RULES.get(idOf(node))?.(known);
  if (problem === undefined) return;
  throw new UnsafeModelError(
    `${where}: ${idOf(node)} '${node.name || node.outputs[0]}' has ${problem}, over which ONNX Runtime would end or hang ` +
      'the process; correct the node',
  );
}

type Rule = (known: Known) => string | undefined;

/** The most dimensions of any tensor that is used; a higher axis is wrong also where the rank is not known. */
const MAX_RANK = 64;

/** Refuses an attribute, if the node has it, outside of a range. */
const within =
  (attribute: string, min: number, max: number): Rule =>
  ({ node }) => {
    const value = node.number(attribute);
    if (value === undefined || (value >= min && value <= max)) return undefined;
    const allowed = max === Infinity ? `at least ${min}` : `${min} to ${max}`;
    return `${attribute} ${value}, which must be ${allowed}`;
  };

const anyOf =
  (...rules: readonly Rule[]): Rule =>
  (known) => {
    for (const rule of rules) {
      const problem = rule(known);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };

/** Refuses an empty name in place of an input. */
const named =
  (first = 0, end = Infinity): Rule =>
  ({ node: { inputs } }) => {
    const index = inputs.findIndex((name, at) => name === '' && at >= first && at < end);
    return index === -1 ? undefined : `an empty name as input ${index}`;
  };

/** Refuses a constant without elements. */
const filled =
  (input: number): Rule =>
  ({ constant }) => {
    const data = constant(input);
    return data && elementCount(data.dims) === 0
      ? `a constant without elements as input ${input}`
      : undefined;
  };

/**
 * LayerNormalization of x (2, 3) with axis 5 and three outputs: SIGSEGV in loading; 1.32 refuses it. In a body the rank is not
 * known here, but it is to ONNX Runtime: only the axes of every rank pass.
 * Upstream: https://github.com/onnx/onnx/pull/8466, https://github.com/microsoft/onnxruntime/pull/32555.
 */
const layerNormalization: Rule = ({ node, shape, isNested }) => {
  const rank = isNested ? 1 : (shape(0)?.length ?? MAX_RANK);
  const axis = node.number('axis') ?? -1;
  if (node.outputs.length === 1 || (axis >= -rank && axis < rank)) return undefined;
  if (isNested)
    return `axis ${axis} and more than one output, in a body or function where the rank of its input is not known`;
  return `axis ${axis}, which is outside of its input's ${rank} dimensions`;
};

/**
 * GatherND of x (2, 2) and indices (2, 1) with batch_dims -3: SIGSEGV in loading. With unknown shapes, and with 2^63 - 1:
 * SIGABRT in the run. 1.32 too.
 * Upstream: https://github.com/onnx/onnx/pull/8465, https://github.com/microsoft/onnxruntime/pull/27090.
 */
const gatherNd: Rule = ({ node, shape }) => {
  const ranks = [shape(0), shape(1)].map((one) => one?.length ?? MAX_RANK);
  const most = Math.max(0, Math.min(...ranks) - 1);
  return within('batch_dims', 0, most)({ node, ...UNKNOWN });
};

/**
 * Split of x (6) with two outputs and num_outputs 1, or four and 3: SIGABRT in loading; 1.32 too.
 * Upstream: https://github.com/onnx/onnx/pull/8255.
 */
const split: Rule = ({ node }) => {
  const [asked, made] = [node.number('num_outputs'), node.outputs.length];
  return asked === undefined || asked === made ? undefined : `num_outputs ${asked} and ${made} outputs`;
};

/**
 * Attention with kv_num_heads 0 or q_num_heads 0: SIGFPE in loading or in the run. Without the attributes and with inputs of
 * three dimensions: SIGFPE in the run. 1.32 refuses them.
 */
const attention: Rule = ({ node, shape }) => {
  for (const name of ['q_num_heads', 'kv_num_heads']) {
    const heads = node.number(name);
    if (heads === undefined ? shape(0)?.length === 3 : heads < 1)
      return `${name} ${heads ?? 'missing'}, which must be at least 1`;
  }
  return undefined;
};

/** The most elements of a window. One of 2^31 elements takes minutes for each element of the result. */
const MAX_WINDOW = 2 ** 31 - 1;

/** The attributes of windows. */
const WINDOW = ['kernel_shape', 'pads', 'strides', 'dilations', 'output_padding', 'output_shape'];

/** Conv with pads 2^62, and a Slice of its result: SIGABRT in loading, as of other sizes that overflow. 1.32: not tried. */
const window: Rule = ({ node }) => {
  for (const name of WINDOW) {
    const large = node.numbers(name)?.find((value) => Math.abs(value) > MAX_WINDOW);
    if (large !== undefined) return `${name} with the number ${large}; at most ${MAX_WINDOW} is allowed`;
  }
  return undefined;
};

/** Refuses constant numbers of sizes beyond 2^31 and, for repeats and scales, below 0: as {@link window}. */
const numbers =
  (input: number, least: number): Rule =>
  ({ constant }) => {
    const data = constant(input);
    const given =
      data && data.dtype !== 'bool' ? Array.from(data.data as ArrayLike<number | bigint>, Number) : [];
    const wrong = given.find((value) => !(value >= least && value <= MAX_WINDOW));
    return wrong === undefined
      ? undefined
      : `the number ${wrong} in input ${input}; ${least} to ${MAX_WINDOW} is allowed`;
  };

/** AveragePool or LpPool with kernel_shape [2^31, 2^31] or [2, 2^40] and no pads: the run does not end; 1.32 too. */
const pool: Rule = ({ node }) => {
  const kernel = node.numbers('kernel_shape') ?? [];
  const size = kernel.reduce((product, length) => product * Math.max(1, length), 1);
  return size > MAX_WINDOW
    ? `kernel_shape [${kernel.join(', ')}] of more than ${MAX_WINDOW} elements`
    : undefined;
};

/** Numbers of sizes that an Upsample of opset 7 or 8 has as attribute. */
const scales: Rule = ({ node }) => {
  const wrong = node.numbers('scales')?.find((scale) => !(scale >= 0 && scale <= MAX_WINDOW));
  return wrong === undefined ? undefined : `the scale ${wrong}; 0 to ${MAX_WINDOW} is allowed`;
};

/** Upsample of x (6) with constant scales of shape (), or of two elements: SIGABRT in the run; 1.32 too. */
const upsample: Rule = ({ shape, constant }) => {
  const [scales, rank] = [constant(1), shape(0)?.length];
  if (!scales || (scales.dims.length === 1 && (rank === undefined || scales.dims[0] === rank)))
    return undefined;
  return `scales [${scales.dims.join(', ')}] that are not one number for each dimension of its input`;
};

/**
 * STFT with a constant frame_length 0, or without it and a constant window of shape (0): SIGFPE in the run; 1.32 too.
 * Upstream: https://github.com/onnx/onnx/pull/7731.
 */
const stft: Rule = anyOf(filled(2), ({ constant }) =>
  [...(constant(3)?.data ?? [])].some((length) => Number(length) === 0) ? 'frame_length 0' : undefined,
);

/** More than any use has. */
const MAX_SKIPS = 2 ** 16;

/**
 * TfIdfVectorizer with 2^40 skips: the run takes hours. With fewer ngram_indexes than n-grams in its pool: SIGABRT in the run.
 * 1.32 too. Upstream: https://github.com/microsoft/onnxruntime/pull/31700.
 */
const tfIdfVectorizer: Rule = anyOf(within('max_skip_count', 0, MAX_SKIPS), ({ node }) => {
  const pool = node.lengthOf('pool_strings') + node.lengthOf('pool_int64s');
  const starts = node.numbers('ngram_counts') ?? [];
  const ngrams = starts.reduce((count, start, index) => {
    const length = (starts[index + 1] ?? pool) - start;
    return count + Math.max(0, Math.floor(length / (index + 1)));
  }, 0);
  const indexes = node.lengthOf('ngram_indexes');
  return indexes < ngrams ? `${indexes} ngram_indexes for ${ngrams} n-grams` : undefined;
});

/** QLinearConcat with a constant of shape (0) as a scale or zero point: SIGSEGV in loading; 1.32 too. */
const quantizedConcat: Rule = anyOf(named(), ({ node, constant }) => {
  const isParameter = (index: number) => index < 2 || (index - 2) % 3 !== 0;
  const empty = node.inputs.findIndex((_, index) => isParameter(index) && constant(index)?.data.length === 0);
  return empty === -1 ? undefined : `a constant without elements as input ${empty}`;
});

/**
 * QLinearSoftmax with a constant of shape (0) as the scale or zero point of its output: SIGSEGV in the run; 1.32 too. Of x (2, 0):
 * SIGSEGV in the run.
 */
const quantizedSoftmax: Rule = anyOf(filled(3), filled(4), ({ shape }) =>
  shape(0)?.includes(0) ? `an input of shape [${shape(0)!.join(', ')}], without elements` : undefined,
);

/**
 * Reshape of x to t, an int64 input that is declared with 2^22 elements: 1 GiB and 2 s in loading, and more in proportion to
 * the length, because the result is inferred to have that many dimensions; Expand, ConstantOfShape, Resize and AffineGrid too.
 * 1.32 loads it in 5 ms. Reshape of a scalar to the size 0x0101010101010101, which begins a longer target, has the same effect.
 */
const sizes =
  (input: number): Rule =>
  ({ shape, constant }) => {
    const [length, ...others] = shape(input) ?? [];
    if (others.length === 0 && typeof length === 'number' && length > MAX_RANK)
      return `${length} sizes as input ${input}; a tensor has at most ${MAX_RANK} dimensions`;
    const given = Array.from((constant(input)?.data ?? []) as ArrayLike<number | bigint>, Number);
    const elements = given.reduce((product, size) => product * (size > 0 ? size : 1), 1);
    return elements <= Number.MAX_SAFE_INTEGER
      ? undefined
      : `the sizes [${given.join(', ')}] as input ${input}, of more elements than any tensor has`;
  };

/** Operators whose rules are about the sizes or the constants of their inputs, and which no pass replaces. */
const RULED_BY_SIZES: readonly string[] =
  'Reshape Expand ConstantOfShape Resize AffineGrid Pad Tile Upsample GatherND STFT OneHot DFT Attention'.split(
    ' ',
  );

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  // The second: LayerNormalization with an empty name for its bias is a SIGSEGV in loading, where no pass has replaced it.
  ['LayerNormalization', anyOf(layerNormalization, named(2))],
  ['GatherND', gatherNd],
  ['Split', split],
  ['Reshape', sizes(1)],
  ['Expand', sizes(1)],
  ['ConstantOfShape', sizes(0)],
  ['Resize', anyOf(numbers(2, 0), sizes(3))],
  ['AffineGrid', sizes(1)],
  ['Attention', attention],
  ['AveragePool', anyOf(window, pool)],
  ['LpPool', anyOf(window, pool)],
  ...['Conv', 'ConvTranspose', 'ConvInteger', 'QLinearConv', 'MaxPool'].map((name): [string, Rule] => [
    name,
    window,
  ]),
  ['Pad', numbers(1, -MAX_WINDOW)],
  ['Tile', numbers(1, 0)],
  ['Upsample', anyOf(scales, numbers(1, 0), upsample)],
  ['STFT', stft],
  ['TfIdfVectorizer', tfIdfVectorizer],
  // Min, Max, Mean, Sum or Einsum of x and '': SIGSEGV in the run; 1.32 too.
  ...['Min', 'Max', 'Mean', 'Sum', 'Einsum'].map((name): [string, Rule] => [name, named()]),
  // BatchNormalization with training_mode 2 and one output: SIGSEGV in the run; 1.32 runs it.
  ['BatchNormalization', within('training_mode', 0, 1)],
  // OneHot with a constant depth of shape (0): SIGABRT in loading; 1.32 refuses it.
  // Upstream: https://github.com/onnx/onnx/pull/8177.
  ['OneHot', filled(1)],
  // DFT with an empty name, or a constant of shape (0), as its axis: SIGSEGV in the run; 1.32 too.
  ['DFT', anyOf(named(2), filled(2))],
  // Of ONNX Runtime's domain.
  // Attention without a bias: SIGSEGV in the run; 1.32 runs it.
  // Upstream: https://github.com/microsoft/onnxruntime/issues/25005.
  [
    `${CONTRIB_DOMAIN}.Attention`,
    ({ node: { inputs } }) => (inputs[2] ? undefined : 'no input 2 (its bias)'),
  ],
  // The first: QLinearConcat with an empty name is a SIGSEGV in the run; 1.32 too.
  [`${CONTRIB_DOMAIN}.QLinearConcat`, quantizedConcat],
  [`${CONTRIB_DOMAIN}.QLinearSoftmax`, quantizedSoftmax],
  // GatherBlockQuantized with bits 0 or block_size 0: SIGFPE in loading; 1.32 refuses it.
  // Upstream: https://github.com/microsoft/onnxruntime/pull/29258.
  [
    `${CONTRIB_DOMAIN}.GatherBlockQuantized`,
    anyOf(within('bits', 1, Infinity), within('block_size', 1, Infinity)),
  ],
  // GroupQueryAttention with a constant total_sequence_length of shape (0): SIGABRT in loading; 1.32 refuses it.
  // Upstream: https://github.com/microsoft/onnxruntime/pull/32651.
  [`${CONTRIB_DOMAIN}.GroupQueryAttention`, filled(6)],
  // ConvTransposeWithDynamicPads without pads: SIGABRT in loading. Of x and w of different ranks too.
  // Upstream: https://github.com/microsoft/onnxruntime/pull/32681, https://github.com/microsoft/onnxruntime/pull/32679.
  [
    `${CONTRIB_DOMAIN}.ConvTransposeWithDynamicPads`,
    ({ node: { inputs }, shape }) => {
      if (!inputs[2]) return 'no input 2 (its pads)';
      const [x, w] = [shape(0)?.length, shape(1)?.length];
      return x !== undefined && w !== undefined && x !== w ? `inputs of ${x} and ${w} dimensions` : undefined;
    },
  ],
  // EmbedLayerNormalization with a beta of shape (): SIGSEGV in loading; 1.32 refuses it.
  // Upstream: https://github.com/microsoft/onnxruntime/issues/28175.
  [
    `${CONTRIB_DOMAIN}.EmbedLayerNormalization`,
    ({ shape }) => (shape(6)?.length === 0 ? 'a scalar as input 6 (its beta)' : undefined),
  ],
]);
