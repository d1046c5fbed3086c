/** Reads fixtures: what a case holds in its safetensors file, checked. */
import { ParityError } from '../errors.js';
import { isObject } from '../options.js';
import { nearestName } from '../nearest.js';
import type { TensorData } from '../tensor.js';
import { decodeSafetensors, type Safetensors } from '../weights/safetensors.js';

/** One case of a parity check: a graph, its weights and inputs, and the outputs that PyTorch computed. */
export interface Fixture {
  /** The path of the `.safetensors` file, or what messages call it. */
  readonly file: string;
  /** The graph's name in the registry. */
  readonly graph: string;
  /** The options of that graph, in camelCase. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The framework that computed the outputs: `torch 2.13.0`. */
  readonly framework: string;
  /** What the case is for; may be empty. */
  readonly description: string;
  /** The case's own relative tolerance, where no float implementation can meet the dtype's default. */
  readonly rtol: number | undefined;
  /** The case's own absolute tolerance. */
  readonly atol: number | undefined;
  /** The inputs, by the graph's names, such as `x`. */
  readonly inputs: ReadonlyMap<string, TensorData>;
  /** The parameters, by PyTorch's own keys. */
  readonly stateDict: ReadonlyMap<string, TensorData>;
  /** The seed of `counterWeights`, in place of a state_dict that would be too large for a file. */
  readonly weightsSeed: number | undefined;
  /** The outputs that the framework computed, by the graph's names. */
  readonly outputs: ReadonlyMap<string, TensorData>;
  /** The outputs of the same module in float64, by the graph's names, where the file has them. */
  readonly truth: ReadonlyMap<string, TensorData>;
  /** What the framework's modules returned, by their paths, where the file has it: `layer1.0.bn1`. */
  readonly activations: ReadonlyMap<string, TensorData>;
}

const PREFIXES = ['input.', 'state_dict.', 'output.', 'truth.', 'activation.'] as const;

/**
 * Reads a fixture from the bytes of its `.safetensors` file.
 * @param file What messages and {@link Fixture.file} call the file.
 * @throws WeightsError if the bytes are not a safetensors file; ParityError `FIXTURE_INVALID` if that is not a fixture.
 */
export const decodeFixture = (bytes: Uint8Array, file = 'the data'): Fixture =>
  toFixture(decodeSafetensors(bytes, file), file);

/**
 * Reads a fixture from the content of its `.safetensors` file.
 * @throws ParityError `FIXTURE_INVALID`.
 */
export function toFixture({ metadata, tensors }: Safetensors, path: string): Fixture {
  requirePrefixes(path, tensors);
  const fixture = {
    file: path,
    graph: requireText(path, metadata, 'graph'),
    options: parseOptions(path, requireText(path, metadata, 'options')),
    framework: requireText(path, metadata, 'framework'),
    description: metadata.description ?? '',
    rtol: parseTolerance(path, metadata, 'rtol'),
    atol: parseTolerance(path, metadata, 'atol'),
    inputs: withPrefix(tensors, 'input.'),
    stateDict: withPrefix(tensors, 'state_dict.'),
    weightsSeed: parseWeightsSeed(path, metadata),
    outputs: withPrefix(tensors, 'output.'),
    truth: withPrefix(tensors, 'truth.'),
    activations: withPrefix(tensors, 'activation.'),
  };
  requireTensors(path, fixture);
  requireFloat64(path, fixture.truth);
  return fixture;
}

/** Refuses other prefixes: a tensor with a mistyped prefix would not be compared. */
function requirePrefixes(path: string, tensors: ReadonlyMap<string, TensorData>): void {
  const odd = [...tensors.keys()].find((key) => !PREFIXES.some((prefix) => key.startsWith(prefix)));
  if (odd === undefined) return;
  const [first = '', ...rest] = odd.split('.');
  const near = nearestName(`${first}.`, PREFIXES);
  const hint = near === undefined ? '' : `: did you mean '${near}${rest.join('.')}'?`;
  throw invalid(path, `tensor '${odd}' must begin with one of ${PREFIXES.join(', ')}${hint}`);
}

function requireTensors(path: string, { inputs, outputs }: Fixture): void {
  if (inputs.size === 0) throw invalid(path, "it has no 'input.<name>' tensor");
  if (outputs.size === 0) throw invalid(path, "it has no 'output.<name>' tensor");
}

/** Requires float64: a narrower truth would measure its own rounding. */
function requireFloat64(path: string, truth: ReadonlyMap<string, TensorData>): void {
  for (const [name, { dtype }] of truth) {
    if (dtype !== 'float64') throw invalid(path, `'truth.${name}' is ${dtype} but must be float64`);
  }
}

const invalid = (path: string, problem: string, cause?: unknown): ParityError =>
  new ParityError('FIXTURE_INVALID', `${path} is not a parity fixture: ${problem}`, { cause });

function requireText(path: string, metadata: Readonly<Record<string, string>>, key: string): string {
  const value = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  if (value) return value;
  throw invalid(path, `its __metadata__ has no '${key}'; needed: graph, options, framework`);
}

function parseOptions(path: string, json: string): Record<string, unknown> {
  let options: unknown;
  try {
    options = JSON.parse(json);
  } catch (cause) {
    throw invalid(path, `'options' is not JSON: ${(cause as Error).message}`, cause);
  }
  if (isObject(options)) return options;
  throw invalid(path, `'options' must be a JSON object, not ${json.slice(0, 40)}`);
}

function parseTolerance(
  path: string,
  metadata: Readonly<Record<string, string>>,
  key: string,
): number | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value.trim() !== '' && Number.isFinite(number) && number >= 0) return number;
  throw invalid(path, `'${key}' is '${value}' but must be a number of at least 0`);
}

function parseWeightsSeed(
  path: string,
  { weights, seed = '' }: Readonly<Record<string, string>>,
): number | undefined {
  if (weights === undefined) return undefined;
  if (weights !== 'counter') throw invalid(path, `'weights' is '${weights}'; known: counter`);
  if (/^\d{1,9}$/.test(seed)) return Number(seed);
  throw invalid(path, `'seed' is '${seed}' but must be an integer of at least 0`);
}

const withPrefix = (tensors: ReadonlyMap<string, TensorData>, prefix: string): Map<string, TensorData> =>
  new Map(
    [...tensors]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
