/**
 * Reads the 8-bit floats of safetensors files as float32, which holds each of their values.
 * Source: OCP 8-bit Floating Point Specification (E4M3, E5M2), OCP Microscaling Formats (E8M0), and PyTorch's
 * `torch.float8_*` dtypes for the FNUZ forms.
 */
import { tensor, type TensorData } from '../tensor.js';

/** How a byte stands for a number. */
interface Float8 {
  /** Bits of the fraction; the exponent is before them, and the sign before that. */
  readonly fractionBits: number;
  readonly bias: number;
  /** Returns NaN or an infinity if the byte stands for one. */
  readonly special: (byte: number) => number | undefined;
}

const nanIf = (isNaN: boolean): number | undefined => (isNaN ? NaN : undefined);

/** The bytes' formats by the names that safetensors has for them. */
const FORMATS = new Map<string, Float8>([
  // Without infinities; only S.1111.111 is NaN.
  ['F8_E4M3', { fractionBits: 3, bias: 7, special: (byte) => nanIf((byte & 0x7f) === 0x7f) }],
  ['F8_E5M2', { fractionBits: 2, bias: 15, special: specialOfE5M2 }],
  // Without infinities and −0, whose byte is NaN.
  ['F8_E4M3FNUZ', { fractionBits: 3, bias: 8, special: (byte) => nanIf(byte === 0x80) }],
  ['F8_E5M2FNUZ', { fractionBits: 2, bias: 16, special: (byte) => nanIf(byte === 0x80) }],
  // Without sign and fraction: each byte but NaN is a power of two.
  ['F8_E8M0', { fractionBits: 0, bias: 127, special: (byte) => (byte === 0xff ? NaN : 2 ** (byte - 127)) }],
]);

function specialOfE5M2(byte: number): number | undefined {
  if ((byte & 0x7c) !== 0x7c) return undefined;
  if ((byte & 0x03) !== 0) return NaN;
  return byte === 0x7c ? Infinity : -Infinity;
}

/** safetensors' names of the 8-bit floats that {@link float8ToFloat32} reads. */
export const FLOAT8_NAMES: readonly string[] = [...FORMATS.keys()];

/** Returns whether safetensors' dtype `name` is an 8-bit float that {@link float8ToFloat32} reads. */
export const isFloat8 = (name: string): boolean => FORMATS.has(name);

/**
 * Makes a float32 tensor out of 8-bit floats.
 * @param name The dtype's name in safetensors, such as F8_E4M3, for which {@link isFloat8} is true.
 */
export function float8ToFloat32(name: string, dims: readonly number[], bytes: Uint8Array): TensorData {
  const format = FORMATS.get(name)!;
  const values = Float32Array.from({ length: 256 }, (_, byte) => valueOf(byte, format));
  const data = new Float32Array(bytes.length);
  for (let i = 0; i < data.length; i++) data[i] = values[bytes[i]!]!;
  return tensor('float32', dims, data);
}

function valueOf(byte: number, { fractionBits, bias, special }: Float8): number {
  const found = special(byte);
  if (found !== undefined) return found;
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte & 0x7f) >> fractionBits;
  const fraction = (byte & ((1 << fractionBits) - 1)) / (1 << fractionBits);
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}
