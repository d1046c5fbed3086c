/** `convert --verify`: the model before and after on the same inputs, before the new file is put in place. */
import { type OutputComparison, compareTensors, toleranceFor } from '../../../parity/compare.js';
import { toFloat64Array } from '../../../half.js';
import { formatDifference, plural } from '../../../quantities.js';
import type { Session, TensorRecord } from '../../../runtime/core/contract.js';
import { withSession } from '../../../runtime/session/open.js';
import { createSession, createSessionBeside } from '../../../runtime/node.js';
import type { ConvertedModel } from '../../../rewrite/convert.js';
import type { TensorData } from '../../../tensor.js';
import { refuseOverwritingInputs } from '../../shared/output-files.js';
import type { Progress } from '../../shared/progress.js';
import { fitTable, indent } from '../../shared/table.js';
import { type InputOptions, inputSources, loadInputs } from '../run/inputs.js';
import { describeNotFinite, splitOutputs } from '../run/outputs.js';

export interface VerifyOptions extends InputOptions {
  readonly output: string;
  /** The number of runs, if inputs are random; `true` without a number. */
  readonly verify?: number | true;
  readonly rtol?: number;
  readonly atol?: number;
}

/** How many runs `--verify` makes on random inputs without a number. */
export const DEFAULT_RUNS = 3;

interface Verification {
  readonly passed: boolean;
  readonly lines: readonly string[];
}

/**
 * Compares the outputs of a model with those of the converted model, which is not written yet. One of the two is loaded at a
 * time, and random inputs are made again for the second.
 * @param path The path of the model; the converted model finds its weights beside it.
 */
export async function verifyConversion(
  path: string,
  { bytes, lowerings }: Pick<ConvertedModel, 'bytes' | 'lowerings'>,
  options: VerifyOptions,
  progress: Progress,
): Promise<Verification> {
  const { limit: limits, rtol, atol } = options;
  progress.step(`running ${path}`);
  const before = await withSession(createSession(path, { limits }), (session) =>
    runAll(session, options, progress),
  );
  // Other runtimes run the file as it is: without the kernel, but for the operator that they have no exact kernel for.
  const asItIs = lowerings.includes('op') ? {} : ({ providers: ['cpu'], groupNorm: 'op' } as const);
  progress.step(`running the converted model`);
  const after = await withSession(createSessionBeside(bytes, path, { ...asItIs, limits }), (session) =>
    runAll(session, options, progress),
  );
  const comparisons = before.results.flatMap((expected, run) =>
    Object.entries(expected).map(([name, value]) =>
      compareTensors(name, after.results[run]![name]!, value, toleranceFor(value.dtype, { rtol, atol })),
    ),
  );
  // Outputs that are empty, or NaN everywhere, say nothing.
  const isShown = before.results.some((outputs) => Object.values(outputs).some(hasFinite));
  const passed = isShown && comparisons.every((one) => one.passed);
  const runs = before.isRandom ? plural(before.results.length, 'random input') : 'the given inputs';
  return {
    passed,
    lines: [
      `${passed ? 'Verified' : isShown ? 'NOT THE SAME' : 'NOTHING TO COMPARE'}: the outputs before and after, on ${runs}`,
      ...indent(tableOf(comparisons)).split('\n'),
      ...before.notes,
      ...(passed ? [] : [isShown ? advice(options) : otherInputs(options)]),
    ],
  };
}

const advice = ({ output }: VerifyOptions): string =>
  `${output} is not written. Rounding alone may differ so much in a deep network: give --rtol and --atol, or look where ` +
  'the difference begins (npx onnx-groupnorm compare)';

const otherInputs = ({ output }: VerifyOptions): string =>
  `${output} is not written: no output has a finite element before the conversion. Give other inputs with --input or --dim`;

const hasFinite = (value: TensorData): boolean =>
  toFloat64Array(value).some((element) => Number.isFinite(element));

interface Runs {
  readonly isRandom: boolean;
  readonly results: readonly TensorRecord[];
  readonly notes: readonly string[];
}

/** Runs a session on the given inputs: several times if some are random, with one seed after the other. */
async function runAll(session: Session, options: VerifyOptions, progress: Progress): Promise<Runs> {
  const { numbers, others } = splitOutputs(session.outputs);
  const random = options.input === undefined || options.random === true;
  const input = inputSources({ ...options, random }, session.inputs);
  const files = [...input].filter(([, file]) => file !== 'random');
  await refuseOverwritingInputs(
    [['-o', options.output]],
    files.map(([name, file]) => [`input '${name}'`, file]),
  );
  const isRandom = files.length < input.size;
  const { verify = true, seed } = options;
  const count = !isRandom ? 1 : verify === true ? DEFAULT_RUNS : verify;
  const results: TensorRecord[] = [];
  const notes = new Set(others);
  for (let run = 0; run < count; run++) {
    const loaded = await loadInputs(session.inputs, { ...options, input, seed: seed + run }, progress);
    for (const note of loaded.notes) notes.add(note);
    progress.step(`run ${run + 1} of ${count}`);
    const outputs = await session.run(loaded.feeds, { fetches: numbers.map(({ name }) => name) });
    for (const [name, value] of Object.entries(outputs)) {
      const notFinite = describeNotFinite(value);
      if (notFinite !== undefined) notes.add(`output ${name}: ${notFinite}`);
    }
    results.push(outputs);
  }
  return { isRandom, results, notes: [...notes] };
}

/** Returns one row for each output: its worst run. */
function tableOf(comparisons: readonly OutputComparison[]): string {
  const worst = new Map<string, OutputComparison>();
  for (const one of comparisons)
    if (!(one.toleranceUsed <= (worst.get(one.name)?.toleranceUsed ?? -1))) worst.set(one.name, one);
  const rows = [...worst.values()];
  const column = (head: string, cell: (one: OutputComparison) => string) =>
    ({ head, align: 'right', cells: rows.map(cell) }) as const;
  return fitTable([
    { head: 'output', cells: rows.map(({ name }) => name) },
    column('max abs', ({ maxAbs }) => formatDifference(maxAbs)),
    column('max rel', ({ maxRel }) => formatDifference(maxRel)),
    column('of tolerance', ({ toleranceUsed }) => `${formatShare(toleranceUsed)}`),
    column('beyond', ({ mismatched, elements }) => `${mismatched} of ${elements}`),
  ]);
}

const formatShare = (share: number): string =>
  share < 10 ? `${Number((100 * share).toPrecision(2))} %` : `${Number(share.toPrecision(2))} times`;
