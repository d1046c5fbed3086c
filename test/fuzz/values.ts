/** The scalars and texts that files are made of: plausible values, and values at the edges of what a type holds. */
import fc from 'fast-check';

/** Numbers that files often have, and numbers at the edges of integers and of safe integers. */
export const integers: fc.Arbitrary<bigint> = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt(0n, 12n) },
  { weight: 2, arbitrary: fc.constantFrom(16n, 21n, 32n, 64n, 1024n, 2n ** 16n, 65537n, 2n ** 20n) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[-1n, -2n, -9n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 32n - 1n, 2n ** 40n, 2n ** 53n, 2n ** 62n],
      ...[2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n],
    ),
  },
);

export const floats: fc.Arbitrary<number> = fc.constantFrom(
  ...[0, -0, 1, 1e-5, 0.5, -1, 2, 1e-12, 1e30, 3.4e38, NaN, Infinity, -Infinity],
);

/** The bytes of a number, as protobuf has them. */
export function floatBytes(value: number, size: 4 | 8): Uint8Array {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return new Uint8Array(view.buffer);
}

/** The names of values and attributes in the models that the fuzzer starts from. */
const NAMES = (
  'x y scale bias weight eps mean var X Y out input_1 axes axis epsilon num_groups perm split value sparse_value ' +
  'value_int value_ints value_floats value_strings to keepdims body then_branch else_branch start end shape group ' +
  'pads strides dilations kernel_shape allowzero stash_type channels_last activation groups mode blocksize N H'
).split(' ');
export const OPERATORS = (
  'GroupNormalization InstanceNormalization LayerNormalization BatchNormalization Reshape Mul Add Sub ' +
  'Div Sqrt Pow ReduceMean ReduceSum Constant ConstantOfShape Shape Slice Gather Concat Unsqueeze Squeeze Transpose Cast Expand ' +
  'Identity If Loop Scan Split Pad Tile Conv ConvTranspose MaxPool AveragePool GlobalAveragePool Sum Where Range Resize ' +
  'Flatten Gemm MatMul Softmax Sigmoid Relu Clip GroupNorm SkipGroupNorm BiasAdd QuickGelu NhwcConv DequantizeLinear ' +
  'QuantizeLinear SequenceConstruct SequenceAt Optional DepthToSpace SpaceToDepth RMSNormalization LpPool Upsample CastLike'
).split(' ');
/** Texts that look like something else to a terminal, a file system or an object. */
const HOSTILE = [
  ...[
    '',
    '\x1b[31mred\x1b]0;title\x07',
    'line\nbreak',
    '\u202eabc',
    '__proto__',
    'constructor',
    'toString',
    '\0',
  ],
  ...[
    'dispose',
    'é\u0301',
    'a'.repeat(300),
    '../x',
    'com.microsoft',
    'ai.onnx',
    'pkg',
    'local',
    'onnx_groupnorm',
  ],
];
/** Where external data may be: in the model's folder, outside it, in a link out of it. */
export const LOCATIONS = [
  ...[
    'beside.bin',
    'sub/../beside.bin',
    './beside.bin',
    'link.bin',
    'secret.bin',
    '../secret.bin',
    'sub/secret.bin',
  ],
  ...[
    '/proc/self/environ',
    '/dev/zero',
    '.',
    '',
    'file:///etc/hostname',
    'missing.bin',
    '..\\secret.bin',
    'fifo',
  ],
];
const KEYS = ['location', 'offset', 'length', 'checksum', 'SCALE_TENSOR', 'ZERO_POINT_TENSOR'];
const DIGITS = ['0', '4', '32', '-1', '4294967296', '18446744073709551616', '1e3', ''];

export const texts: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...NAMES) },
  { weight: 3, arbitrary: fc.constantFrom(...OPERATORS) },
  { weight: 2, arbitrary: fc.constantFrom(...HOSTILE) },
  { weight: 2, arbitrary: fc.constantFrom(...LOCATIONS, ...KEYS, ...DIGITS) },
  // Not the unit 'binary' of fast-check, which lists all of Unicode in memory.
  fc.string({ maxLength: 12, unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
);

export const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(0, 4, 8, 32, 64, 2048).map((length) => new Uint8Array(length).fill(1)),
);
