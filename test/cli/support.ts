/** The command line in-process, and fixtures to give it. */
import { expect } from 'chai';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach } from 'mocha';
import { runCli } from '../../lib/cli/run-cli.js';
import type { Io } from '../../lib/cli/shared/terminal.js';
import { tensor, type TensorData, writeSafetensors } from '../../lib/index.js';
import { schemaErrors } from '../support/json-schemas.js';
import { NATIVE_REASON } from '../support/native.js';

/** A stream that keeps what is written to it. */
export class Sink extends Writable {
  text = '';

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(chunk: string | Buffer, _: BufferEncoding, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** How GroupNormalization runs here where nothing is asked for: by the kernel where the addon was built. */
export const GROUP_NORM = NATIVE_REASON === undefined ? 'kernel' : 'reduce-mean';
/** The same as `run` says it. */
export const EXECUTION =
  NATIVE_REASON === undefined
    ? 'native, GroupNormalization by the native kernel'
    : 'cpu, GroupNormalization as reduce-mean';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line: `onnx('build', 'group-norm')`. Fails if its JSON is not as docs/schemas says. */
export async function onnx(...argv: string[]): Promise<Outcome> {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const code = await runCli(argv, { stdout, stderr } satisfies Io);
  requireSchema(argv, code, stdout.text);
  return { code, stdout: stdout.text, stderr: withoutProgress(stderr.text) };
}

function requireSchema(argv: readonly string[], code: number, stdout: string): void {
  const option = argv.indexOf('--json');
  if (option < 0) return;
  const [command, file] = [argv[0]!, argv[option + 1]];
  const isOnStdout = command === 'doctor' || file === '-';
  // Where the usage is wrong, the file may be another one.
  const text = isOnStdout ? stdout : code === 2 ? '' : readFileSync(file!, 'utf8');
  if (text !== '') expect(schemaErrors(command, text)).to.deep.equal([]);
}

/** Lines of progress come by the clock: a slow machine must not fail a test that expects nothing else. */
export const withoutProgress = (text: string): string => text.replace(/^.* …\n/gm, '');

/** A folder for each test of the suite. @returns The path of a file in it. */
export function useTemporaryFolder(): (name?: string) => string {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'onnx-groupnorm-cli-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  return (name = '') => join(folder, name);
}

export const floats = (dims: number[], values: Iterable<number>): TensorData =>
  tensor('float32', dims, Float32Array.from(values));

/** What to make different from a right fixture. */
export interface FixtureChanges {
  /** Replaces or, with `undefined`, removes metadata. */
  readonly metadata?: Readonly<Record<string, string | undefined>>;
  /** Added to the first expected element. */
  readonly error?: number;
  readonly affine?: boolean;
  /** Output names, all with the right values. */
  readonly outputs?: readonly string[];
}

export const CHANNELS = 4;
const DIMS = [2, CHANNELS, 3, 3];
const GROUPS = 2;
const EPS = 1e-5;

/** A parity fixture of graph group-norm, its output computed here in float64. @returns Its expected output. */
export async function writeFixture(path: string, changes: FixtureChanges = {}): Promise<TensorData> {
  const { metadata = {}, error = 0, affine = true, outputs = ['y'] } = changes;
  const x = Float32Array.from({ length: 72 }, (_, i) => Math.fround(Math.sin(i * i) + i / 40));
  const [weight, bias] = affine ? [[1.5, -0.5, 2, 1], [0.25, 1, -2, 0]] : [[1, 1, 1, 1], [0, 0, 0, 0]]; // prettier-ignore
  const truth = groupNorm(x, weight, bias);
  const expected = floats(DIMS, truth);
  expected.data[0] = (expected.data[0] as number) + error;
  const all = {
    graph: 'group-norm',
    options: JSON.stringify({ numGroups: GROUPS, numChannels: CHANNELS, eps: EPS, affine }),
    framework: 'none: float64 in the test',
    ...metadata,
  };
  const tensors: [string, TensorData][] = [['input.x', floats(DIMS, x)]];
  if (affine)
    tensors.push(['state_dict.weight', floats([4], weight)], ['state_dict.bias', floats([4], bias)]);
  for (const name of outputs) tensors.push([`output.${name}`, expected]);
  tensors.push(['truth.y', tensor('float64', DIMS, truth)]);
  await writeSafetensors(path, {
    metadata: JSON.parse(JSON.stringify(all)) as Record<string, string>,
    tensors,
  });
  return expected;
}

function groupNorm(x: Float32Array, weight: readonly number[], bias: readonly number[]): Float64Array {
  const plane = 9;
  const size = (CHANNELS / GROUPS) * plane;
  return Float64Array.from(x, (value, i) => {
    const start = Math.floor(i / size) * size;
    const group = Array.from(x.subarray(start, start + size));
    const mean = group.reduce((sum, element) => sum + element, 0) / size;
    const variance = group.reduce((sum, element) => sum + (element - mean) ** 2, 0) / size;
    const channel = Math.floor(i / plane) % CHANNELS;
    return ((value - mean) / Math.sqrt(variance + EPS)) * weight[channel]! + bias[channel]!;
  });
}

export interface XmlElement {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: XmlElement[];
}

/** A parser for the XML that reports are made of; throws if it is not well-formed. */
export function parseXml(text: string): XmlElement {
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u.test(text)) {
    throw new Error('a character that XML does not allow');
  }
  const root: XmlElement = { tag: '', attributes: {}, children: [] };
  const open = [root];
  const markup = /<\?xml[^>]*\?>|<(\/?)([\w-]+)((?:\s+[\w-]+="[^"<]*")*)\s*(\/?)>/g;
  const rest = text.replace(
    markup,
    (_, closing: string, tag: string | undefined, attributes: string, empty: string) => {
      if (tag === undefined) return '';
      if (closing) {
        if (open.pop()?.tag !== tag) throw new Error(`</${tag}> closes another element`);
        return '';
      }
      const element = { tag, attributes: parseAttributes(attributes), children: [] };
      open.at(-1)!.children.push(element);
      if (!empty) open.push(element);
      return '';
    },
  );
  if (/[<>]/.test(rest) || open.length !== 1 || root.children.length !== 1)
    throw new Error('not well-formed');
  return root.children[0]!;
}

function parseAttributes(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [
    name!,
    unescapeXml(value!),
  ]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&([^;\s]*);?/g, (entity, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    const character = named[name];
    if (character === undefined || !entity.endsWith(';'))
      throw new Error(`the entity ${entity} is not known`);
    return character;
  });
}
