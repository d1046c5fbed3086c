/** The formats that the fuzzer makes files of, and the ways into the library that each file takes. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { openPretrained } from '../../lib/checkpoint/open.js';
import { runCli } from '../../lib/cli/run-cli.js';
import { tensorFromJson } from '../../lib/cli/commands/run/input-files.js';
import { decodeNpy } from '../../lib/files/npy.js';
import { openNpz } from '../../lib/files/npz.js';
import { castTensor, toFloat64Array } from '../../lib/half.js';
import { decodePng } from '../../lib/images/png.js';
import { inspectModel } from '../../lib/insight/node.js';
import { Model } from '../../lib/onnx/model.js';
import { decodeTensorFile } from '../../lib/onnx/protobuf/tensors.js';
import { writeModel } from '../../lib/onnx/write.js';
import { toFixture } from '../../lib/parity/fixture.js';
import { batchNormToGroupNorm } from '../../lib/rewrite/batch-norm/batch-norm.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import type { Provider, Session, SessionOptions } from '../../lib/runtime/core/contract.js';
import { prepareOrtFormat } from '../../lib/runtime/model/ort-format.js';
import { createSession } from '../../lib/runtime/node.js';
import { allocate, isFloatDType, tensor, tensorBytes, type TensorData } from '../../lib/tensor.js';
import { openSafetensors } from '../../lib/weights/safetensors-file.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { checkpoints } from './checkpoints.js';
import { json, npy, npz, NPZ_SAMPLES, pictures, PNG_SAMPLES, safetensors } from './files.js';
import { models, RIGHT_MODEL, tensorFiles } from './models.js';
import { ortFiles } from './ort-files.js';
import type { Probe } from './probe.js';
import { holdsSecret, type Sandbox } from './sandbox.js';

/** A file, and what happens to it besides the ways that every file of its format takes. */
export interface Case {
  readonly bytes: Uint8Array;
  /** The execution provider that loads a model; `undefined` in most cases, because loading takes the most time. */
  readonly load?: 'native' | 'cpu' | 'wasm' | undefined;
  /** Whether the session gets the path of the file. */
  readonly byPath?: boolean;
  /** Whether a picture has the checksums that show damage to its pixels. */
  readonly isChecked?: boolean;
  /** Whether the command line gets the file too. */
  readonly cli?: boolean;
  /** The name of a file of a folder, and the other files. */
  readonly name?: string;
  readonly others?: ReadonlyMap<string, Uint8Array>;
}

export interface Format {
  /** How many of 100 cases have this format. */
  readonly share: number;
  /** The codes of errors that a file of the format may get. Default: any. */
  readonly codes?: readonly string[];
  readonly cases: fc.Arbitrary<Case>;
  readonly exercise: (probe: Probe, sample: Case, sandbox: Sandbox) => Promise<void>;
}

/** True in `percent` of 100 cases. (fast-check prefers small numbers, so that `fc.nat(99)` would not do.) */
const sometimes = (percent: number): fc.Arbitrary<boolean> =>
  fc.oneof(
    { weight: 100 - percent, arbitrary: fc.constant(false) },
    { weight: percent, arbitrary: fc.constant(true) },
  );

const files = (bytes: fc.Arbitrary<Uint8Array>, cli = 0): fc.Arbitrary<Case> =>
  fc.record({ bytes, cli: sometimes(cli) });

/** WebAssembly takes five times as long to load a model. */
const PROVIDERS = [
  ...Array<'native' | 'cpu'>(5).fill('native'),
  ...Array<'native' | 'cpu'>(5).fill('cpu'),
  'wasm',
] as const;

const loads: fc.Arbitrary<Case['load']> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.constantFrom(...PROVIDERS) },
);

export const FORMATS: Readonly<Record<string, Format>> = {
  model: {
    share: 41,
    cases: fc.record({
      bytes: models,
      load: loads,
      byPath: fc.boolean(),
      cli: sometimes(4),
    }),
    exercise: exerciseModel,
  },
  ort: {
    share: 4,
    cases: fc.record({ bytes: ortFiles, load: loads }),
    async exercise(probe, { bytes, load }) {
      if (load) await loadAndRun(probe, bytes, load, optionsFor(load));
      else await probe.call('prepareOrtFormat', () => prepareOrtFormat(bytes, 'a.ort', undefined, WASM));
    },
  },
  checkpoint: {
    share: 6,
    cases: fc
      .record({ folder: checkpoints, cli: sometimes(10) })
      .map(({ folder, cli }) => ({ ...folder, cli })),
    exercise: exerciseCheckpoint,
  },
  tensor: {
    share: 8,
    codes: ['TENSOR_INVALID', 'LIMIT_EXCEEDED'],
    cases: files(tensorFiles),
    async exercise(probe, { bytes }) {
      const decoded = await probe.call('decodeTensorFile', () => decodeTensorFile(bytes, 'a.pb'));
      // An element of 8 bytes is a varint of at least one.
      if (decoded) requireSize(probe, 'decodeTensorFile', decoded.tensor, 8 * bytes.length);
    },
  },
  safetensors: {
    share: 14,
    codes: ['SAFETENSORS_INVALID', 'UNSUPPORTED_DTYPE', 'LIMIT_EXCEEDED', 'FIXTURE_INVALID'],
    cases: files(safetensors, 5),
    exercise: exerciseSafetensors,
  },
  npy: {
    share: 9,
    codes: ['NPY_INVALID', 'LIMIT_EXCEEDED'],
    cases: files(npy),
    async exercise(probe, { bytes }) {
      const decoded = await probe.call('decodeNpy', () => decodeNpy(bytes));
      if (decoded) requireSize(probe, 'decodeNpy', decoded, bytes.length);
    },
  },
  npz: {
    share: 7,
    codes: ['NPZ_INVALID', 'NPY_INVALID', 'LIMIT_EXCEEDED'],
    cases: files(npz),
    async exercise(probe, { bytes }) {
      const archive = await probe.call('openNpz', () => openNpz(bytes, 'a.npz'));
      for (const name of archive?.names ?? []) {
        const array = await probe.call('openNpz.read', () => archive!.read(name));
        // An archive has a checksum of each file in it.
        if (array) probe.require(RIGHT_ARRAYS.includes(contentOf(array)), 'openNpz.read', 'a damaged array');
      }
    },
  },
  png: { share: 7, codes: ['IMAGE_INVALID', 'IMAGE_TOO_LARGE'], cases: pictures, exercise: exercisePng },
  json: {
    share: 4,
    cases: files(json),
    async exercise(probe, { bytes }) {
      const text = new TextDecoder().decode(bytes);
      for (const dtype of ['float32', 'int64'] as const) {
        await probe.call('tensorFromJson', () => tensorFromJson(text, dtype, 'a.json'));
      }
    },
  },
};

const contentOf = ({ dtype, dims, data }: TensorData): string =>
  `${dtype} ${dims.join(',')}: ${data.join(',')}`;
const RIGHT_ARRAYS = NPZ_SAMPLES.flatMap((bytes) => {
  const { names, read } = openNpz(bytes, 'a.npz');
  return names.map((name) => contentOf(read(name)));
});

function requireSize(probe: Probe, way: string, decoded: TensorData, most: number): void {
  const size = tensorBytes(decoded).byteLength;
  probe.require(size <= most, way, `a tensor of ${size} bytes; at most ${most} are in the file`);
}

async function exerciseModel(probe: Probe, sample: Case, sandbox: Sandbox): Promise<void> {
  const { bytes, load } = sample;
  await probe.call('Model.decode', () => Model.decode(bytes));
  await probe.call('inspectModel', () => inspectModel(bytes));
  const rewrite = async (way: string, action: () => { readonly bytes: Uint8Array }) => {
    const result = await probe.call(way, action);
    if (!result) return undefined;
    requireNoSecret(probe, way, result.bytes);
    await probe.call(`Model.decode of the result of ${way}`, () => Model.decode(result.bytes));
    return result.bytes;
  };
  const converted = await rewrite('convertModel', () => convertModel(bytes));
  const merged = await rewrite('convertModel with merge', () => convertModel(bytes, { merge: true }));
  await rewrite('batchNormToGroupNorm', () => batchNormToGroupNorm(bytes));
  if (load) {
    const options = optionsFor(load);
    const path = join(sandbox.models, 'model.onnx');
    if (sample.byPath) writeFileSync(path, bytes);
    const outputs = await loadAndRun(probe, sample.byPath ? path : bytes, load, options);
    // A conversion may not change what a model computes.
    for (const other of [converted, merged]) {
      if (!outputs || !other || other === bytes) continue;
      if (sample.byPath) writeFileSync(path, other);
      const others = await loadAndRun(probe, sample.byPath ? path : other, load, options);
      if (others) requireSameOutputs(probe, outputs, others);
    }
    for (const output of outputs?.values() ?? []) requireNoSecret(probe, 'run', tensorBytes(output));
  }
  if (sample.cli) {
    writeFileSync(join(sandbox.models, 'model.onnx'), bytes);
    await callCli(probe, ['convert', 'model.onnx', '-o', 'converted.onnx'], sandbox);
  }
}

/** `cpu` with a lowering is onnxruntime-node; without it, the native kernel. */
const optionsFor = (provider: Provider): SessionOptions => ({
  providers: [provider],
  strict: true,
  // Threads take longer to start than such models to run.
  intraOpNumThreads: 1,
  groupNorm: provider === 'cpu' ? 'reduce-mean' : undefined,
});

const WASM = { provider: 'wasm', hasGroupNormKernel: false } as const;

function requireNoSecret(probe: Probe, way: string, bytes: Uint8Array): void {
  if (holdsSecret(bytes))
    probe.report('file', way, 'the result holds bytes of a file that the model may not read');
}

/** Inputs of more elements are not made, and the model does not run. */
const MOST_ELEMENTS = 2 ** 14;

/** Loads a model and runs it once if its inputs are numbers and small. Returns the outputs. */
async function loadAndRun(
  probe: Probe,
  model: Uint8Array | string,
  provider: Provider,
  options: SessionOptions,
): Promise<Map<string, TensorData> | undefined> {
  await loadProvider(provider, options);
  const session = await probe.call(
    `createSession on ${provider}`,
    () => createSession(model, options),
    'load',
  );
  if (!session) return undefined;
  const feeds = feedsOf(session);
  const results = feeds && (await probe.call('run', () => session.run(feeds), 'run'));
  const outputs =
    results &&
    new Map(Object.entries(results as Record<string, TensorData>).filter(([, value]) => isNumbers(value)));
  await probe.call('dispose', () => session.dispose());
  return outputs;
}

const loaded = new Set<Provider>();

/** Loads a provider with a right model before its memory is measured: WebAssembly alone takes 80 MiB. */
async function loadProvider(provider: Provider, options: SessionOptions): Promise<void> {
  if (loaded.has(provider)) return;
  loaded.add(provider);
  const session = await createSession(RIGHT_MODEL, options);
  await session.dispose();
}

const isNumbers = (value: unknown): value is TensorData =>
  typeof value === 'object' && value !== null && 'data' in value && ArrayBuffer.isView(value.data);

function feedsOf({ inputs }: Session): Record<string, TensorData> | undefined {
  const feeds: [string, TensorData][] = [];
  for (const { name, dtype, shape, optional } of inputs) {
    if (optional) continue;
    if (dtype === undefined || dtype === 'string') return undefined;
    const dims = (shape ?? [2, 8, 4, 4]).map((dim) => (typeof dim === 'number' ? dim : 2));
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (count > MOST_ELEMENTS) return undefined;
    const waves = Float64Array.from({ length: count }, (_, i) => Math.sin(i));
    const feed = isFloatDType(dtype)
      ? castTensor(tensor('float64', dims, waves), dtype)
      : tensor(dtype, dims, allocate(dtype, count));
    feeds.push([name, feed]);
  }
  return Object.fromEntries(feeds);
}

function requireSameOutputs(
  probe: Probe,
  outputs: ReadonlyMap<string, TensorData>,
  others: ReadonlyMap<string, TensorData>,
): void {
  for (const [name, output] of outputs) {
    const other = others.get(name);
    const [a, b] = [toFloat64Array(output), other ? toFloat64Array(other) : new Float64Array(0)];
    const scale = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // Skips values that are not finite, or nearly not: an epsilon of 0, a scale of 1e30.
    if (!(scale < 1e6)) continue;
    const isSame =
      a.length === b.length && a.every((value, i) => Math.abs(value - b[i]!) <= 1e-3 * (1 + scale));
    probe.require(isSame, 'convertModel', `the converted model computes another '${name}'`);
  }
}

async function exerciseSafetensors(probe: Probe, { bytes, cli }: Case, sandbox: Sandbox): Promise<void> {
  const decoded = await probe.call('decodeSafetensors', () => decodeSafetensors(bytes));
  if (decoded) {
    const size = [...decoded.tensors.values()].reduce((sum, value) => sum + tensorBytes(value).byteLength, 0);
    // An 8-bit float becomes a float32.
    probe.require(
      size <= 4 * bytes.length,
      'decodeSafetensors',
      `tensors of ${size} bytes from ${bytes.length} bytes`,
    );
    await probe.call('toFixture', () => toFixture(decoded, 'a.safetensors'));
  }
  if (!cli) return;
  const path = join(sandbox.models, 'weights.safetensors');
  writeFileSync(path, bytes);
  const file = await probe.call('openSafetensors', () => openSafetensors(path));
  if (file) await probe.call('SafetensorsFile.readAll', () => file.readAll());
  await file?.close();
  await callCli(
    probe,
    [
      'build',
      'group-norm',
      '--num-groups',
      '2',
      '--num-channels',
      '8',
      '--weights',
      path,
      '-o',
      'built.onnx',
    ],
    sandbox,
  );
}

async function exerciseCheckpoint(
  probe: Probe,
  { bytes, name, others, cli }: Case,
  sandbox: Sandbox,
): Promise<void> {
  const folder = join(sandbox.models, 'checkpoint');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [file, content] of [...others!, [name!, bytes] as const])
    writeFileSync(join(folder, file), content);
  const model = await probe.call('openPretrained', () => openPretrained(folder));
  const path = join(folder, 'built.onnx');
  if (model) await probe.call('writeModel', () => writeModel(path, model.graph, model.weights));
  await model?.close();
  if (cli) await callCli(probe, ['build', '--from', 'checkpoint', '-o', 'built.onnx'], sandbox);
}

const RIGHT_PIXELS = PNG_SAMPLES.map((bytes) => String(decodePng(bytes).samples));

async function exercisePng(probe: Probe, { bytes, isChecked }: Case): Promise<void> {
  let warning = '';
  const decode = () => decodePng(bytes, 'a.png', { warn: (message) => void (warning = message) });
  const image = await probe.call('decodePng', decode);
  if (!image) return;
  const { width, height, channels, samples, max } = image;
  probe.require(samples.length === width * height * channels, 'decodePng', 'a wrong number of samples');
  probe.require(
    samples.every((sample) => sample <= max),
    'decodePng',
    `a sample above ${max}`,
  );
  // Where both checksums are missing, no decoder sees whether the pixels are damaged.
  if (isChecked && !/CRC .* is missing; the Adler-32 .* is missing/.test(warning))
    probe.require(RIGHT_PIXELS.includes(String(samples)), 'decodePng', 'pixels of a damaged file');
  const again = await probe.call('decodePng', decode);
  probe.require(String(again?.samples) === String(samples), 'decodePng', 'other pixels the second time');
}

/** Sequences that a terminal obeys, or that turn the order of a line around. A command line writes none of names from files. */
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/u;

async function callCli(probe: Probe, argv: readonly string[], sandbox: Sandbox): Promise<void> {
  const way = `onnx-groupnorm ${argv[0]}`;
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += String(chunk);
      done();
    },
  });
  const place = process.cwd();
  process.chdir(sandbox.models);
  const code = await probe.call(way, () => runCli(argv, { stdout: stream, stderr: stream }));
  process.chdir(place);
  if (code !== 0 && code !== 2) probe.report('untyped', way, text);
  if (CONTROLS.test(text)) probe.report('wrong', way, `control characters: ${JSON.stringify(text)}`);
}
