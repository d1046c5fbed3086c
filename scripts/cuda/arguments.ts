/** Reads and checks the command line before any work starts. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type FloatDType, type Provider, PROVIDERS } from '../../lib/index.js';
import { requireOpset } from '../../lib/lowering/choose.js';
import { SESSION_LOWERING_NAMES } from '../../lib/lowering/types.js';
import { requireProvider } from '../../lib/runtime/core/providers.js';
import { chosenLowering, GROUP_NORM_CHOICES } from '../../lib/runtime/model/group-norm-policy.js';
import { FLOAT_DTYPES } from '../../lib/tensor.js';
import { allCases, type Case, type Selection } from './jobs.js';
import { NUM_GROUPS } from './measure.js';

const OPTIONS = {
  provider: { type: 'string', default: 'cuda' },
  out: { type: 'string', default: fileURLToPath(new URL('../../docs', import.meta.url)) },
  minutes: { type: 'string' },
  limit: { type: 'string', default: '120' },
  rounds: { type: 'string', default: '30' },
  cases: { type: 'string', default: '' },
  opsets: { type: 'string', default: '13,17,18,20,21,25' },
  shapes: {
    type: 'string',
    default: '1x64x8x8,1x320x64x64,2x640x32x32,2x1280x16x16,8x256x32x32,1x128x256x256',
  },
  dtypes: { type: 'string', default: 'float32,float16' },
  'with-npm-libraries': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

export const HELP = `Usage: npm run cuda-check -- [options]

Runs the parity suite, times every way in which a provider runs GroupNormalization, and writes
PROVIDER-DEVICE.json and .md. If this machine cannot use the provider, it says why and writes no file.

  --provider NAME       ${PROVIDERS.filter((name) => name !== 'native').join(', ')} (default cuda)
  --out DIR             folder of the report (default docs)
  --minutes N           stop after N minutes, and list in the report what is missing (default: no limit).
                        Writing the report takes a few seconds more, and the download of
                        --with-npm-libraries is not stopped
  --limit SECONDS       time limit of one case or one timing, after which it counts as timed out (default ${OPTIONS.limit.default})
  --rounds N            rounds of each timing (default ${OPTIONS.rounds.default})
  --cases REGEX         only cases whose name matches, such as 'group-norm float16' (default all)
  --opsets LIST         opsets of the suite (default ${OPTIONS.opsets.default})
  --shapes LIST         shapes of the timings, in ${NUM_GROUPS} groups (default ${OPTIONS.shapes.default})
  --dtypes LIST         dtypes of the timings (default ${OPTIONS.dtypes.default})
  --with-npm-libraries  use onnxruntime-node 1.29.0 with the CUDA 13 provider from an npm package:
                        downloads 290 MB into .cuda-runtime and leaves node_modules as it is

The most important results come first: every case once, the timings of the first dtype, the candidates, the timings
of the other dtypes, and every case at every opset. Each way to run GroupNormalization has its own process, so that
a crash costs one row.

The report is written every half minute and at Ctrl-C, as PROVIDER-DEVICE.partial.json and .md. A report that options
narrow has these names too. Only a complete report drops '.partial' from its name; it deletes the partial report. To
keep a partial report, write the next one to another folder (--out).

Exit codes: 0 every case passed; 1 a case failed, the report is not complete, or the provider cannot be used;
2 bad usage.
`;

export interface Arguments {
  readonly selection: Selection;
  readonly out: string;
  readonly minutes: number | undefined;
  readonly withNpmLibraries: boolean;
  /** The options that leave jobs out. */
  readonly narrowedBy: readonly string[];
}

/**
 * Returns the arguments; undefined for --help.
 * @throws Error that names the wrong option and its allowed values.
 */
export function readArguments(args?: string[]): Arguments | undefined {
  const { values } = parseArgs({ options: OPTIONS, ...(args && { args }) });
  if (values.help) return undefined;
  const provider = requireRewriting(values.provider);
  const all = allCases();
  const selection: Selection = {
    provider,
    baseline: chosenLowering(GROUP_NORM_CHOICES[provider]),
    cases: selectCases(all, values.cases),
    opsets: list(values.opsets, readOpset),
    candidates: SESSION_LOWERING_NAMES,
    shapes: list(values.shapes, readShape),
    dtypes: list(values.dtypes, readDType),
    rounds: whole(values.rounds),
    seconds: seconds(values.limit, 1),
  };
  const lists = (['opsets', 'shapes', 'dtypes'] as const).filter(
    (name) => !covers(values[name], OPTIONS[name].default),
  );
  return {
    selection,
    out: resolve(values.out),
    minutes: values.minutes === undefined ? undefined : seconds(values.minutes, 60) / 60,
    withNpmLibraries: values['with-npm-libraries'],
    narrowedBy: [
      ...(selection.cases.length < all.length ? ['cases'] : []),
      ...lists,
      ...(selection.rounds < Number(OPTIONS.rounds.default) ? ['rounds'] : []),
    ].map((name) => `--${name} '${values[name as 'cases']}'`),
  };
}

/** Refuses `native`, whose own kernel bench/group-norm.ts measures. */
function requireRewriting(name: string): Provider {
  const provider = requireProvider(name);
  if (provider === 'native')
    throw new RangeError(
      '--provider native is not supported here, because its kernel replaces every rewrite: run npm run bench:group-norm',
    );
  return provider;
}

function selectCases(all: readonly Case[], pattern: string): Case[] {
  const names = new RegExp(pattern);
  const cases = all.filter(({ name }) => names.test(name));
  if (cases.length > 0) return cases;
  throw new RangeError(
    `--cases '${pattern}' selects none of the ${all.length} cases, such as '${all[0]!.name}'`,
  );
}

/** Reads a list, and drops repeated entries. */
const list = <T>(text: string, read: (part: string) => T): T[] => [...new Set(text.split(','))].map(read);

function readOpset(text: string): number {
  const opset = whole(text);
  requireOpset(opset);
  return opset;
}

function readShape(text: string): number[] {
  const shape = text.split('x').map(whole);
  if (shape.length >= 2 && shape[1]! % NUM_GROUPS === 0) return shape;
  throw new RangeError(`shape '${text}' must have channels, second, that ${NUM_GROUPS} groups divide`);
}

function readDType(text: string): FloatDType {
  const dtype = FLOAT_DTYPES.find((name) => name === text);
  if (dtype) return dtype;
  throw new RangeError(`dtype '${text}' must be one of ${FLOAT_DTYPES.join(', ')}`);
}

function whole(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`'${text}' must be a whole number of at least 1`);
}

/** A day: longer than any check takes, and within the range of a timer. */
const MAX_SECONDS = 86_400;

function seconds(text: string, each: number): number {
  const value = each * Number(text);
  if (value > 0 && value <= MAX_SECONDS) return value;
  throw new RangeError(`'${text}' must be a number above 0, and up to ${MAX_SECONDS / each}`);
}

const covers = (text: string, all: string): boolean =>
  all.split(',').every((part) => text.split(',').includes(part));

/** @throws Error unless the folder is writable or can be created. */
export function requireWritable(folder: string): void {
  let there = folder;
  while (!statSync(there, { throwIfNoEntry: false })) there = dirname(there);
  // '.' makes it a folder, so that a path below a file is refused as well.
  accessSync(join(there, '.'), constants.W_OK);
}
