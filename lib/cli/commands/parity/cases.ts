/**
 * The cases of `parity`, from paths and options to results:
 *
 *   paths ─▶ findSources ─▶ fixtures and data sets ─┐
 *   options, providers ─▶ planCases ─▶ plan ────────┴─▶ runCases ─▶ results
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { getGraph } from '../../../../graphs/registry.js';
import { FileError, OnnxGroupNormError, ParityError, type SessionError } from '../../../errors.js';
import { reasonOf, systemCode } from '../../../files/system-error.js';
import { defaultLowering, getLowering, loweringsAt, requireOpset } from '../../../lowering/choose.js';
import { findDataSetDrift, findFixtureDrift } from '../../../insight/compare/parity-drift.js';
import type { Limits } from '../../../limits.js';
import type { SessionLoweringName } from '../../../lowering/types.js';
import type { BuildGraph, CaseName, CaseResult, CheckSpec, Drift } from '../../../parity/check.js';
import { defaultTolerance } from '../../../parity/compare.js';
import type { Fixture } from '../../../parity/fixture.js';
import { checkFixture, readFixture } from '../../../parity/node.js';
import {
  ACTIVATIONS_FILE,
  checkTestDataSet,
  graphNameOf,
  isDataSetName,
  modelPathOf,
  nameCase,
  readTestDataSet,
  type TestDataSpec,
} from '../../../parity/test-data-set.js';
import type { Layout, Provider, ProviderFallback } from '../../../runtime/core/contract.js';
import { parseNames } from '../../shared/options.js';
import type { Progress } from '../../shared/progress.js';
import { withStopRequest } from '../../shared/signals.js';
import type { ExitCode } from '../../shared/terminal.js';

/** A fixture, or a data set of an existing model. */
export interface ParitySource {
  /** Path of the fixture's file, or of the data set's folder. */
  readonly path: string;
  /** Whether it is a data set, which has its model beside it. */
  readonly isDataSet: boolean;
}

/**
 * Finds the fixtures and data sets that paths stand for. A file stands for itself, whatever its name. A folder stands
 * for all `.safetensors` files and all `test_data_set_*` folders in it and below, sorted; a `test_data_set_*` folder
 * stands for itself. No source appears twice. Does not read the files.
 * @throws ParityError `NO_FIXTURES` if a folder has no source, or a path names only a part of a data set; FileError
 *   `FILE_NOT_FOUND` if a path does not exist, `FILE_UNREADABLE` if it cannot be looked at.
 */
export async function findSources(paths: readonly string[]): Promise<ParitySource[]> {
  const sources = new Map<string, ParitySource>();
  for (const path of paths) {
    for (const source of (await isFolder(path)) ? await listFolder(path) : [asFixture(path)]) {
      const key = resolve(source.path);
      if (!sources.has(key)) sources.set(key, source);
    }
  }
  return [...sources.values()];
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    const missing = ['ENOENT', 'ENOTDIR'].includes(systemCode(cause) ?? '');
    const code = missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
    throw new FileError(code, `cannot read '${path}': ${reasonOf(cause)}`, { cause });
  }
}

function asFixture(path: string): ParitySource {
  if (!/\.(onnx|pb)$/.test(path)) return { path, isDataSet: false };
  throw new ParityError(
    'NO_FIXTURES',
    `'${path}' is only a part of a test; name the folder that has model.onnx and test_data_set_0`,
  );
}

async function listFolder(folder: string): Promise<ParitySource[]> {
  const entries = await entriesBelow(folder);
  const paths = new Set(entries.map(({ path }) => path));
  const found = entries.filter(
    ({ path, isDataSet }) => isDataSet || (path.endsWith('.safetensors') && !isActivations(path, paths)),
  );
  if (found.length > 0) return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  throw new ParityError(
    'NO_FIXTURES',
    `folder '${folder}' has no .safetensors file and no model.onnx with a test_data_set_0, nor do the folders below it; 'npx onnx-groupnorm parity --help' has the commands that make one`,
  );
}

/** Returns whether a file belongs to the model beside it or in the folder above, and is not a fixture. */
const isActivations = (path: string, paths: ReadonlySet<string>): boolean =>
  basename(path) === ACTIVATIONS_FILE &&
  (isDataSetName(basename(dirname(path))) || paths.has(join(path, '..', 'model.onnx')));

async function entriesBelow(folder: string): Promise<ParitySource[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const below = entries.map((entry) => ({
      path: join(entry.parentPath, entry.name),
      isDataSet: entry.isDirectory() && isDataSetName(entry.name),
    }));
    return [{ path: folder, isDataSet: isDataSetName(basename(resolve(folder))) }, ...below];
  } catch (cause) {
    throw new FileError('FILE_UNREADABLE', `cannot read '${folder}': ${reasonOf(cause)}`, { cause });
  }
}

/** Returns the files of a source, which no report may overwrite. Skips what does not exist. */
export async function filesOf({ path, isDataSet }: ParitySource): Promise<string[]> {
  if (!isDataSet) return [path];
  const names = await readdir(path).catch(() => []);
  const model = modelPathOf(path);
  return [model, join(dirname(model), ACTIVATIONS_FILE), ...names.map((name) => join(path, name))];
}

/** The options that decide how cases run. */
export interface PlanOptions {
  readonly lowering?: string;
  readonly groupNorm?: SessionLoweringName;
  readonly layout?: Layout;
  readonly opset: readonly number[];
  readonly rtol?: number;
  readonly atol?: number;
  /** The limits for existing models and their data sets. */
  readonly limit?: Partial<Limits>;
  /** Whether to search the layer at which the drift of a failed case begins. */
  readonly bisect?: boolean;
}

/** The combinations of lowering, opset and provider to run. */
interface ParityPlan {
  /** The combinations for each fixture. */
  readonly fixtures: readonly CheckSpec[];
  /** Returns the combinations for each data set whose model has this opset. */
  dataSets(opset: number): readonly TestDataSpec[];
  /** The limits for data sets. */
  readonly limits?: Partial<Limits> | undefined;
  /** Whether to search the drift of each source, in the first of its cases that fails. */
  readonly bisect?: boolean;
}

/** @throws GraphError if a lowering or an opset does not exist, or if the opset does not have the lowering. */
export function planCases(options: PlanOptions, providers: readonly Provider[]): ParityPlan {
  const { groupNorm, layout, opset: opsets, rtol, atol, limit: limits, bisect = false } = options;
  const fixtures = opsets.flatMap((opset) =>
    fixtureLowerings(options, opset).flatMap((lowering) =>
      providers.map((provider) => ({ lowering, opset, provider, groupNorm, layout, rtol, atol })),
    ),
  );
  const dataSets = (opset: number) =>
    sessionLowerings(options, opset).flatMap((one) =>
      providers.map((provider) => ({
        provider,
        groupNorm: one,
        rtol,
        atol,
        ...(layout && { layout }),
        ...(limits && { limits }),
      })),
    );
  return { fixtures, dataSets, limits, bisect };
}

/** Returns the lowerings with which the models of fixtures are built. */
function fixtureLowerings({ lowering }: PlanOptions, opset: number) {
  requireOpset(opset);
  const names = lowering === undefined ? [defaultLowering(opset)] : parseNames(lowering);
  return names.includes('all') ? loweringsAt(opset) : names.map((one) => getLowering(one, opset).name);
}

/**
 * Returns the `groupNorm` option for each session of an existing model; `undefined` leaves the choice to the session.
 * The model is not built, so `--lowering` asks the session, and `--group-norm` takes the place of `--lowering`.
 */
function sessionLowerings(
  { lowering, groupNorm }: PlanOptions,
  opset: number,
): readonly (SessionLoweringName | undefined)[] {
  if (groupNorm !== undefined || lowering === undefined) return [groupNorm];
  const names = parseNames(lowering);
  return names.includes('all') ? [undefined, ...loweringsAt(opset)] : (names as SessionLoweringName[]);
}

interface ParityCases {
  readonly results: readonly CaseResult[];
  /** Number of sources that cannot be read, or are not fixtures or data sets. */
  readonly unreadable: number;
  /** Files of the fixtures that allow more than the default tolerance. */
  readonly loose: ReadonlySet<string>;
  /** Number of cases that did not run because of a signal. A data set that was not read counts as one case. */
  readonly notRun: number;
  /** The exit code of the signal that stopped the run, if there was one. */
  readonly stopped: ExitCode | undefined;
}

/**
 * Runs all cases, one after another, because ONNX Runtime uses all cores for each.
 * @param missing Providers that do not work here. Their cases fail.
 */
export const runCases = (
  sources: readonly ParitySource[],
  plan: ParityPlan,
  progress: Progress,
  missing: readonly ProviderFallback[] = [],
): Promise<ParityCases> =>
  withStopRequest(async (stop) => {
    const results: CaseResult[] = [];
    const loose = new Set<string>();
    let [unreadable, notRun] = [0, 0];
    for (const [at, source] of sources.entries()) {
      if (stop.exitCode !== undefined) {
        notRun += source.isDataSet ? 1 : plan.fixtures.length;
        continue;
      }
      const read = await readCases(source, plan).catch(asUnreadable);
      if (read instanceof OnnxGroupNormError) {
        unreadable += 1;
        results.push(failedCase(unreadableCase(source, plan), read));
        continue;
      }
      if (read.isLoose) loose.add(source.path);
      let isSearched = !plan.bisect;
      for (const { name, run, findDrift } of read.cases) {
        if (stop.exitCode !== undefined) {
          notRun += 1;
          continue;
        }
        const kind = source.isDataSet ? 'data set' : 'fixture';
        const place = `case ${results.length + 1}, ${kind} ${at + 1} of ${sources.length}`;
        progress.step(`${place}: ${name.file}, ${name.lowering}`);
        const absent = missing.find(({ provider }) => provider === name.provider);
        const result = absent ? failedCase(name, unavailable(absent)) : await run();
        const isDrifting = !result.passed && result.outputs.length > 0;
        if (!isDrifting || isSearched) {
          results.push(result);
          continue;
        }
        isSearched = true;
        const drift = await findDrift((task) =>
          progress.step(`${place}: ${name.file} failed, searching the layer: ${task}`),
        );
        results.push({ ...result, drift });
      }
    }
    return { results, unreadable, loose, notRun, stopped: stop.exitCode };
  });

/** The cases of one source. */
interface SourceCases {
  readonly cases: readonly SourceCase[];
  /** Whether the source itself allows more than the default tolerance. */
  readonly isLoose: boolean;
}

interface SourceCase {
  readonly name: CaseName;
  readonly run: () => Promise<CaseResult>;
  readonly findDrift: (onProgress: (task: string) => void) => Promise<Drift>;
}

/** @throws What `readFixture` and `readTestDataSet` throw. */
const readCases = (source: ParitySource, plan: ParityPlan): Promise<SourceCases> =>
  source.isDataSet ? dataSetCases(source.path, plan) : fixtureCases(source.path, plan);

async function fixtureCases(path: string, { fixtures: specs }: ParityPlan): Promise<SourceCases> {
  const fixture = await readFixture(path);
  const { file, graph } = fixture;
  const cases = specs.map((spec): SourceCase => {
    const { lowering, opset, provider } = spec;
    return {
      name: { file, graph, lowering, opset, provider },
      run: () => checkFixture(fixture, spec, buildRegistryGraph),
      findDrift: (onProgress) => findFixtureDrift(fixture, spec, buildRegistryGraph, onProgress),
    };
  });
  return { cases, isLoose: specs.some((spec) => allowsMore(fixture, spec)) };
}

const buildRegistryGraph: BuildGraph = (name, options, input) => getGraph(name).build(options, input);

/** Returns whether the fixture, and not the command line, sets a tolerance above the default of an output's dtype. */
const allowsMore = ({ outputs, ...own }: Fixture, spec: CheckSpec): boolean =>
  [...outputs.values()].some(({ dtype }) =>
    (['rtol', 'atol'] as const).some(
      (key) => spec[key] === undefined && (own[key] ?? 0) > defaultTolerance(dtype)[key],
    ),
  );

async function dataSetCases(path: string, plan: ParityPlan): Promise<SourceCases> {
  const dataSet = await readTestDataSet(path, undefined, { limits: plan.limits });
  const cases = plan.dataSets(dataSet.opset).map((spec): SourceCase => ({
    name: nameCase(dataSet, spec),
    run: () => checkTestDataSet(dataSet, spec),
    findDrift: (onProgress) => findDataSetDrift(dataSet, spec, onProgress),
  }));
  return { cases, isLoose: false };
}

/** Returns an error about the file, which becomes a result. Rethrows any other error, which is a bug. */
function asUnreadable(error: unknown): OnnxGroupNormError {
  if (error instanceof OnnxGroupNormError) return error;
  throw error;
}

/** Returns the one case that an unreadable source gets, however many combinations the plan has. */
function unreadableCase({ path: file, isDataSet }: ParitySource, plan: ParityPlan): CaseName {
  const { lowering, opset, provider } = plan.fixtures[0]!;
  if (!isDataSet) return { file, graph: 'unknown', lowering, opset, provider };
  const [graph, model] = [graphNameOf(file), modelPathOf(file)];
  return { file, graph, model, lowering: 'default', opset: 0, provider };
}

type Failure = Pick<OnnxGroupNormError, 'code' | 'message'>;

const failedCase = (name: CaseName, { code, message }: Failure): CaseResult => ({
  ...name,
  passed: false,
  outputs: [],
  error: { code, message },
  milliseconds: 0,
});

const unavailable = ({ provider }: ProviderFallback): Failure => ({
  code: 'PROVIDER_UNAVAILABLE' satisfies SessionError['code'],
  message: `${provider} does not work on this machine; 'npx onnx-groupnorm doctor' says what is missing`,
});
