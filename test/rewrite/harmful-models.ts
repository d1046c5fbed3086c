/** Models that are small files and claim, or would make, much more; and the program that converts them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OnnxGroupNormError } from '../../lib/errors.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import { tensor } from '../../lib/tensor.js';
import * as nested from '../support/nested-norms.js';
import { int, message, model, text, valueInfo } from '../onnx/bytes.js';
import { peakMemory, resetPeak } from '../support/peak-memory.js';

type Bytes = readonly number[];

const [FLOAT, INT64] = [1, 7];

/** A NodeProto in a field of a GraphProto. */
const node = (
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...more: Bytes[]
): Bytes =>
  message(
    1,
    inputs.flatMap((name) => text(1, name)),
    outputs.flatMap((name) => text(2, name)),
    text(4, opType),
    ...more,
  );

const intAttribute = (name: string, value: number): Bytes =>
  message(5, text(1, name), int(3, value), int(20, 2));

const initializer = (name: string, dtype: number, dims: readonly number[], raw: ArrayBufferLike): Bytes =>
  message(
    5,
    ...dims.map((dim) => int(1, dim)),
    int(2, dtype),
    text(8, name),
    message(9, [...new Uint8Array(raw)]),
  );

const ones = (count: number): ArrayBufferLike => new Float32Array(count).fill(1).buffer;
const int64s = (count: number, value: (index: number) => number): ArrayBufferLike =>
  BigInt64Array.from({ length: count }, (_, index) => BigInt(value(index))).buffer;

const STRIDES = message(5, text(1, 'strides'), int(8, 2), int(8, 2), int(20, 7));

/** The ValueInfoProto of an input whose dimensions have names. */
const namedInput = (name: string, dims: readonly string[]): Bytes =>
  message(
    11,
    text(1, name),
    message(2, message(1, int(1, FLOAT), message(2, ...dims.map((dim) => message(1, text(2, dim)))))),
  );

const X = valueInfo(11, 'x', FLOAT, 1, 8, 4, 4);
const Y = valueInfo(12, 'y', FLOAT, 1, 8, 4, 4);
/** A pass asks for the types of its inputs, so that types are inferred for the whole model. */
const NORM = [
  initializer('ones', FLOAT, [8], ones(8)),
  node('InstanceNormalization', ['x', 'ones', 'ones'], ['y']),
];

const repeated = (count: number, make: (index: number) => Bytes): Bytes[] =>
  Array.from({ length: count }, (_, i) => make(i));
/** The content of a SparseTensorProto with one element. */
const sparse = (name: string, size: number): Bytes => [
  ...message(1, int(1, 1), int(2, FLOAT), text(8, name), message(9, [...new Uint8Array(ones(1))])),
  ...message(2, int(1, 1), int(2, INT64), message(9, [...new Uint8Array(int64s(1, () => 0))])),
  ...int(3, size),
];

/** The nodes of a chain from x on: each reads the result of the one before it. */
const chain = (count: number, make: (input: string, output: string) => Bytes): Bytes[] =>
  repeated(count, (i) => make(i === 0 ? 'x' : `t${i - 1}`, `t${i}`));

const typical = (...fields: readonly Bytes[]): Uint8Array => model(X, Y, ...NORM, ...fields);

/** The models by what they do. */
export const HARMFUL: Readonly<Record<string, () => Uint8Array>> = {
  'many empty nodes': () => model(new Array<Bytes>(250_000).fill([0x0a, 0]).flat()),
  'a sparse initializer that claims 400,000,000 elements': () =>
    typical(message(15, sparse('s', 400_000_000)), node('Add', ['x', 's'], ['z'])),
  'a sparse Constant that claims 400,000,000 elements': () =>
    typical(
      node(
        'Constant',
        [],
        ['s'],
        message(5, text(1, 'sparse_value'), message(22, sparse('', 400_000_000)), int(20, 11)),
      ),
      node('Add', ['x', 's'], ['z']),
    ),
  'functions that each call the next one twice': () => {
    const call = (input: string, output: string, index: number): Bytes =>
      message(7, text(1, input), text(2, output), text(4, `f${index}`), text(7, 'local'));
    const abs = message(7, text(1, 'a'), text(2, 'b'), text(4, 'Abs'));
    const functions = repeated(40, (i) =>
      message(
        25,
        text(1, `f${i}`),
        text(10, 'local'),
        text(4, 'a'),
        text(5, 'b'),
        ...(i === 39 ? [abs] : [call('a', 'm', i + 1), call('m', 'b', i + 1)]),
      ),
    );
    const domain = message(8, text(1, 'local'), int(2, 1));
    const caller = node('f0', ['x'], ['z'], text(7, 'local'));
    return Uint8Array.from([...typical(caller), ...domain, ...functions.flat()]);
  },
  'GroupNorms of many channels, whose scales rewriting makes': () =>
    Uint8Array.from([
      ...int(1, 10),
      ...message(
        7,
        valueInfo(11, 'x', FLOAT, 1, 2 ** 20, 4),
        initializer('one', FLOAT, [1], ones(1)),
        ...repeated(200, (i) =>
          node('GroupNormalization', ['x', 'one', 'one'], [`n${i}`], intAttribute('num_groups', 1)),
        ),
        Y,
      ),
      ...message(8, int(2, 18)),
    ]),
  'a Constant of a long list': () =>
    typical(
      node(
        'Constant',
        [],
        ['c'],
        message(5, text(1, 'value_ints'), message(8, new Array<number>(1_000_000).fill(1)), int(20, 7)),
      ),
    ),
  'a Transpose by a long list': () =>
    typical(
      node(
        'Transpose',
        ['x'],
        ['z'],
        message(5, text(1, 'perm'), message(8, new Array<number>(300_000).fill(0)), int(20, 7)),
      ),
    ),
  'many Reshapes to one long constant': () =>
    typical(
      initializer(
        'long',
        INT64,
        [30_000],
        int64s(30_000, () => 1),
      ),
      ...repeated(2000, (i) => node('Reshape', ['x', 'long'], [`r${i}`])),
    ),
  'Gathers by their own results, each of which doubles the rank': () =>
    typical(...chain(40, (input, output) => node('Gather', [input, input], [output]))),
  'Unsqueezes that add up to many dimensions': () =>
    typical(
      initializer(
        'axes',
        INT64,
        [50],
        int64s(50, (i) => i),
      ),
      ...chain(2000, (input, output) => node('Unsqueeze', [input, 'axes'], [output])),
    ),
  'a Sum of many inputs': () => typical(node('Sum', new Array<string>(200_000).fill('x'), ['z'])),
  'a Concat of many inputs along a dimension with a name': () =>
    model(
      namedInput('w', ['N', 'H-1']),
      X,
      Y,
      ...NORM,
      node('Concat', new Array<string>(200_000).fill('w'), ['z'], intAttribute('axis', 1)),
    ),
  'one constant in a typed field that many nodes read': () =>
    typical(
      message(
        5,
        int(1, 60_000),
        int(2, INT64),
        text(8, 'long'),
        message(7, new Array<number>(60_000).fill(1)),
      ),
      ...repeated(2000, (i) => node('Slice', ['x', 'long', 'long', 'long'], [`s${i}`])),
    ),
  'one long constant of ones that many nodes may leave out': () =>
    typical(
      initializer('long', FLOAT, [100_000], ones(100_000)),
      ...repeated(2000, (i) => node('InstanceNormalization', ['x', 'long', 'long'], [`n${i}`])),
    ),
  'rows whose length is a prime of 53 bits': () =>
    model(
      valueInfo(11, 'x', FLOAT, 1, 2, 2 ** 53 - 111),
      initializer('ones', FLOAT, [2], ones(2)),
      node('GroupNormalization', ['x', 'ones', 'ones'], ['y'], intAttribute('num_groups', 2)),
      Y,
    ),
  'long names of dimensions that many nodes compute with': () =>
    model(
      namedInput('x', ['1', '8', 'a'.repeat(50_000), 'b'.repeat(50_000)]),
      Y,
      ...NORM,
      initializer('w', FLOAT, [8, 8, 1, 1], ones(64)),
      ...repeated(2000, (i) => node('Conv', ['x', 'w'], [`c${i}`], STRIDES)),
    ),
  'functions that call each other twice': () => calling('F14', twice(14, [nested.node('Neg', ['v'], ['r'])])),
  'functions that call each other twice, the last a norm': () =>
    calling('F11', twice(11, [nested.groupNorm(['v', 'v', 'v'], 'r', 2)])),
  'calls of which each needs another norm': () =>
    nested.model(
      Array.from({ length: 100 }, (_, i) =>
        nested.call('F', ['x'], [`y${i}`], nested.float('eps', 1e-5 * (i + 1))),
      ),
      { x: [8, 8, 64] },
      { y0: 3 },
      {
        functions: [
          nested.localFunction(
            'F',
            [
              nested.constant('s', tensor('float32', [8], new Float32Array(8))),
              nested.groupNorm(['v', 's', 's'], 'r', 2, nested.reference('epsilon', 'FLOAT', 'eps')),
            ],
            ['v'],
            ['r'],
          ),
        ],
      },
    ),
  'loops in loops whose values change their shapes': () => {
    let nodes = [nested.groupNorm(['v0', 'v0', 'v0'], 'r0', 2)];
    for (let depth = 1; depth < 30; depth++) {
      const turned = nested.node('Transpose', [`r${depth - 1}`], [`t${depth - 1}`]);
      const others = Array.from({ length: 200 }, (_, i) =>
        nested.node('Neg', [`v${depth}`], [`n${depth}_${i}`]),
      );
      const body = nested.body([...nodes, turned], ['i', 'c', `v${depth - 1}`], ['c', `t${depth - 1}`]);
      nodes = [
        ...others,
        nested.node('Loop', ['', '', `v${depth}`], [`r${depth}`], nested.graph('body', body)),
      ];
    }
    return nested.model(nodes, { v29: [2, 3, 4] }, { r29: 3 });
  },
  'functions that call each other in a ring': () => {
    const call = (input: string, output: string, name: string): Bytes =>
      message(7, text(1, input), text(2, output), text(4, name), text(7, 'local'));
    const functions = ['f', 'g', 'h'].map((name, index, names) =>
      message(
        25,
        ...[text(1, name), text(10, 'local'), text(4, 'a'), text(5, 'b')],
        call('a', 'b', names[(index + 1) % 3]!),
      ),
    );
    const domain = message(8, text(1, 'local'), int(2, 1));
    return Uint8Array.from([
      ...typical(node('f', ['x'], ['z'], text(7, 'local'))),
      ...domain,
      ...functions.flat(),
    ]);
  },
  'a function with many inputs': () => {
    const inputs = repeated(60_000, () => text(4, 'a'));
    const norm = message(7, text(1, 'a'), text(2, 'b'), text(4, 'InstanceNormalization'));
    return Uint8Array.from([
      ...typical(node('f', ['x'], ['z'], text(7, 'local'))),
      ...message(8, text(1, 'local'), int(2, 1)),
      ...message(25, text(1, 'f'), text(10, 'local'), text(5, 'b'), norm, ...inputs),
    ]);
  },
  'a function with many attributes that many nodes call': () => {
    const attributes = repeated(3000, (i) => message(11, ...[text(1, `a${i}`), int(3, 1), int(20, 2)]));
    const neg = message(7, text(1, 'a'), text(2, 'b'), text(4, 'Neg'));
    return Uint8Array.from([
      ...typical(...repeated(2000, (i) => node('f', ['x'], [`z${i}`], text(7, 'local')))),
      ...message(8, text(1, 'local'), int(2, 1)),
      ...message(25, text(1, 'f'), text(10, 'local'), text(4, 'a'), text(5, 'b'), neg, ...attributes),
    ]);
  },
  'names of dimensions that nest brackets': () =>
    model(
      namedInput('w', ['N', '8', `${'('.repeat(30_000)}a${')'.repeat(30_000)}`, 'floor('.repeat(8000)]),
      X,
      Y,
      ...NORM,
      initializer('k', FLOAT, [8, 8, 1, 1], ones(64)),
      ...repeated(100, (i) => node('Conv', ['w', 'k'], [`c${i}`], STRIDES)),
    ),
  'many branches with a norm': () =>
    model(
      X,
      Y,
      valueInfo(11, 'c', 9),
      ...NORM,
      ...repeated(250, (i) => {
        const branch = (name: string, opType: string, inputs: readonly string[]) => {
          const inner = node(opType, inputs, [`${name}${i}`]);
          return message(
            5,
            text(1, name),
            message(6, inner, text(2, 'g'), message(12, text(1, `${name}${i}`))),
            int(20, 5),
          );
        };
        return node(
          'If',
          ['c'],
          [`b${i}`],
          branch('then_branch', 'InstanceNormalization', ['x', 'ones', 'ones']),
          branch('else_branch', 'Identity', ['x']),
        );
      }),
    ),
  'a product of sums of names': () =>
    model(
      namedInput(
        'w',
        Array.from({ length: 20 }, (_, i) => [...'abcdefghijklmnop'].map((name) => `${name}${i}`).join('+')),
      ),
      X,
      Y,
      ...NORM,
      node('Flatten', ['w'], ['f'], intAttribute('axis', 10)),
    ),
};

/** A model that calls a function, and normalizes the result. */
const calling = (name: string, functions: ReturnType<typeof nested.localFunction>[]): Uint8Array =>
  nested.model(
    [nested.call(name, ['x'], ['h']), nested.groupNorm(['h', 's', 's'], 'y', 2)],
    { x: [2, 2, 4] },
    { y: 3 },
    { functions, weights: { s: tensor('float32', [2], Float32Array.of(1, 2)) } },
  );

/** F0, and functions that call the one before twice. */
const twice = (count: number, nodes: Parameters<typeof nested.localFunction>[1]) => [
  nested.localFunction('F0', nodes, ['v'], ['r']),
  ...Array.from({ length: count }, (_, i) =>
    nested.localFunction(
      `F${i + 1}`,
      [nested.call(`F${i}`, ['v'], ['h']), nested.call(`F${i}`, ['h'], ['r'])],
      ['v'],
      ['r'],
    ),
  ),
];

/** What came of a model. */
export interface Outcome {
  /** The code of the error that refused it, `ok`, or the message of an error without a code. */
  readonly result: string;
  /** Processor time. */
  readonly seconds: number;
  /** How far the peak of the process's memory rose. */
  readonly bytes: number;
}

/** The most processor time that the conversion of a file may take, in seconds: 1 for each MiB, and at least 1. */
export const mostSeconds = (fileBytes: number): number => Math.max(1, fileBytes / 2 ** 20);

/** A conversion in a new process also waits for the compiler of JavaScript: the fastest of so many counts. */
const TRIES = 3;

/** Converts the models in the files `0.onnx`, `1.onnx`, … of a folder, and writes the outcomes as JSON. */
export function convertAll(folder: string, count: string): void {
  convertModel(smallModel());
  const outcomes = Array.from({ length: Number(count) }, (_, index): Outcome => {
    const bytes = new Uint8Array(readFileSync(join(folder, `${index}.onnx`)));
    const first = convertOne(bytes);
    let { seconds } = first;
    for (let tries = 1; tries < TRIES && seconds >= mostSeconds(bytes.length); tries++)
      seconds = Math.min(seconds, convertOne(bytes).seconds);
    return { ...first, seconds };
  });
  console.log(JSON.stringify(outcomes));
}

function convertOne(bytes: Uint8Array): Outcome {
  // Garbage of the model before this one does not count.
  globalThis.gc!();
  const before = resetPeak();
  const start = process.cpuUsage();
  const result = resultOf(() => convertModel(bytes));
  const { user, system } = process.cpuUsage(start);
  return { result, seconds: (user + system) / 1e6, bytes: peakMemory() - before };
}

function resultOf(action: () => void): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    return error instanceof OnnxGroupNormError ? error.code : String(error);
  }
}

function smallModel(): Uint8Array {
  const g = new GraphBuilder('small');
  const x = g.input('x', 'float32', [1, 4, 8]);
  g.output('y', op.groupNormalization(g, x, undefined, undefined, { numGroups: 2 }));
  return encodeModel(g.build(), new Map());
}
