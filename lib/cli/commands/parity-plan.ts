/** Fixtures, and data sets of existing models, in each way that they are to be run. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { getGraph } from '../../../graphs/registry.js';
import { FileError, OnnxGroupNormError, ParityError, type SessionError } from '../../errors.js';
import { reasonOf, systemCode } from '../../files/system-error.js';
import { defaultLowering, getLowering, loweringsAt, requireOpset } from '../../lowering/choose.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import type { BuildGraph, CaseName, CaseResult, CheckSpec } from '../../parity/check.js';
import type { Fixture } from '../../parity/fixture.js';
import { checkFixture, readFixture } from '../../parity/node.js';
import { modelPathOf, readTestDataSet } from '../../parity/node.js';
import { checkTestDataSet, graphNameOf, nameCase, type TestDataSpec } from '../../parity/test-data-set.js';
import { defaultTolerance } from '../../parity/tolerance.js';
import type { Provider, ProviderFallback } from '../../runtime/core/contract.js';
import { parseNames } from '../shared/options.js';
import type { Progress } from '../shared/progress.js';
import { withInterrupt } from '../shared/terminal.js';

/** One way to run what was read. */
export interface Way {
  readonly name: CaseName;
  readonly run: () => Promise<CaseResult>;
}

/** What was read, in every way. */
export interface Ways {
  readonly ways: readonly Way[];
  /** Whether it sets a tolerance above the default of an output's dtype itself. */
  readonly isLoose: boolean;
}

/** @throws What `readFixture` and `readTestDataSet` throw. */
export const readWays = (source: ParitySource, plan: ParityPlan): Promise<Ways> =>
  source.isDataSet ? dataSetWays(source.path, plan) : fixtureWays(source.path, plan);

async function fixtureWays(path: string, { fixtures: specs }: ParityPlan): Promise<Ways> {
  const fixture = await readFixture(path);
  const { file, graph } = fixture;
  const ways = specs.map((spec) => {
    const { lowering, opset, provider } = spec;
    return {
      name: { file, graph, lowering, opset, provider },
      run: () => checkFixture(fixture, spec, buildRegistryGraph),
    };
  });
  return { ways, isLoose: specs.some((spec) => allowsMore(fixture, spec)) };
}

async function dataSetWays(path: string, plan: ParityPlan): Promise<Ways> {
  const dataSet = await readTestDataSet(path);
  const ways = plan.dataSets(dataSet.opset).map((spec) => ({
    name: nameCase(dataSet, spec),
    run: () => checkTestDataSet(dataSet, spec),
  }));
  return { ways, isLoose: false };
}

/** The one case that stands for all ways to run what cannot be read. */
export function unreadableCase({ path: file, isDataSet }: ParitySource, plan: ParityPlan): CaseName {
  const { lowering, opset, provider } = plan.fixtures[0]!;
  return isDataSet
    ? {
        file,
        graph: graphNameOf(file),
        model: modelPathOf(file),
        lowering: 'default',
        opset: 0,
        provider,
      }
    : { file, graph: 'unknown', lowering, opset, provider };
}

/** Whether the fixture, not the command line, sets a tolerance above the default of an output's dtype. */
const allowsMore = ({ outputs, ...own }: Fixture, spec: CheckSpec): boolean =>
  [...outputs.values()].some(({ dtype }) =>
    (['rtol', 'atol'] as const).some(
      (key) => spec[key] === undefined && (own[key] ?? 0) > defaultTolerance(dtype)[key],
    ),
  );

const buildRegistryGraph: BuildGraph = (name, options, input) => getGraph(name).build(options, input);

// SECTION: In which ways the cases of `parity` are run.

/** The options that say how. */
export interface PlanOptions {
  readonly lowering?: string;
  readonly groupNorm?: SessionLoweringName;
  readonly opset: readonly number[];
  readonly rtol?: number;
  readonly atol?: number;
}

export interface ParityPlan {
  /** Every way in which each fixture is to be run. */
  readonly fixtures: readonly CheckSpec[];
  /** Every way in which each data set is to be run whose model has an opset. */
  dataSets(opset: number): readonly TestDataSpec[];
}

/** @throws GraphError if a fixture's model cannot be written in one of the ways. */
export function planCases(options: PlanOptions, providers: readonly Provider[]): ParityPlan {
  const { groupNorm, opset: opsets, rtol, atol } = options;
  const fixtures = opsets.flatMap((opset) =>
    fixtureLowerings(options, opset).flatMap((lowering) =>
      providers.map((provider) => ({ lowering, opset, provider, groupNorm, rtol, atol })),
    ),
  );
  const dataSets = (opset: number) =>
    sessionLowerings(options, opset).flatMap((one) =>
      providers.map((provider) => ({ provider, groupNorm: one, rtol, atol })),
    );
  return { fixtures, dataSets };
}

/** How the models of fixtures are written. */
function fixtureLowerings({ lowering }: PlanOptions, opset: number) {
  requireOpset(opset);
  const names = lowering === undefined ? [defaultLowering(opset)] : parseNames(lowering);
  const named = () => names.map((one) => getLowering(one, opset).name);
  return names.includes('all') ? loweringsAt(opset) : named();
}

/**
 * What sessions of an existing model are asked for: nothing, or what `--lowering` names, for the model itself is
 * written already. `--group-norm` says it for every model, and leaves one way.
 */
function sessionLowerings(
  { lowering, groupNorm }: PlanOptions,
  opset: number,
): readonly (SessionLoweringName | undefined)[] {
  if (groupNorm !== undefined || lowering === undefined) return [groupNorm];
  const names = parseNames(lowering);
  return names.includes('all') ? [undefined, ...loweringsAt(opset)] : (names as SessionLoweringName[]);
}

/** What cases are made of. */
export interface ParitySource {
  /** Of the fixture's file, or the data set's folder. */
  readonly path: string;
  /** A data set of an existing model, beside it; else a fixture. */
  readonly isDataSet: boolean;
}

/**
 * What paths stand for: files as they are, and of folders every `.safetensors` file and every `test_data_set_*`
 * folder in them and in the folders below, sorted; a folder of that name stands for itself, too. What two paths lead
 * to is there once. Whether it can be read is found out when it is read.
 * @throws ParityError `NO_FIXTURES` if a folder has none, or a path is that of a part of a data set; FileError
 *   `FILE_NOT_FOUND` if a path does not exist, `FILE_UNREADABLE` if it cannot be looked at or a folder not listed.
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

function asFixture(path: string): ParitySource {
  if (!/\.(onnx|pb)$/.test(path)) return { path, isDataSet: false };
  throw new ParityError(
    'NO_FIXTURES',
    `'${path}' alone is no case: name the folder that holds model.onnx and its test_data_set_0`,
  );
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

async function listFolder(folder: string): Promise<ParitySource[]> {
  const found = (await entriesBelow(folder)).filter(
    ({ path, isDataSet }) => isDataSet || path.endsWith('.safetensors'),
  );
  if (found.length > 0) return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  throw new ParityError(
    'NO_FIXTURES',
    `folder '${folder}' and those below it hold neither a .safetensors file nor a test_data_set_0 beside a model.onnx`,
  );
}

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

const isDataSetName = (name: string): boolean => name.startsWith('test_data_set_');

/** The files that a source is read from, as far as they are there: what no report may be written over. */
export async function filesOf({ path, isDataSet }: ParitySource): Promise<string[]> {
  if (!isDataSet) return [path];
  const names = await readdir(path).catch(() => []);
  return [modelPathOf(path), ...names.map((name) => join(path, name))];
}

// SECTION: The cases of `parity`: everything that was found in every way that was asked for.

export interface ParityCases {
  readonly results: readonly CaseResult[];
  /** Sources that cannot be read, or are no fixtures or data sets. */
  readonly unreadable: number;
  /** Files of the fixtures that allow more than the default tolerance. */
  readonly loose: ReadonlySet<string>;
  /** Cases that Ctrl+C came before; of what had not been read yet, a case each. */
  readonly notRun: number;
}

/**
 * One case after the other, because ONNX Runtime uses every core for each.
 * @param missing Providers that cannot be used here: a case on one of them has failed.
 */
export const runCases = (
  sources: readonly ParitySource[],
  plan: ParityPlan,
  progress: Progress,
  missing: readonly ProviderFallback[] = [],
): Promise<ParityCases> =>
  withInterrupt(async (interrupt) => {
    const results: CaseResult[] = [];
    const loose = new Set<string>();
    let [unreadable, notRun] = [0, 0];
    for (const [at, source] of sources.entries()) {
      if (interrupt.asked) {
        notRun += source.isDataSet ? 1 : plan.fixtures.length;
        continue;
      }
      const read = await readWays(source, plan).catch(asUnreadable);
      if (read instanceof OnnxGroupNormError) {
        unreadable += 1;
        // Once, however many ways there are to run it.
        results.push(couldNotRun(unreadableCase(source, plan), read));
        continue;
      }
      if (read.isLoose) loose.add(source.path);
      for (const { name, run } of read.ways) {
        if (interrupt.asked) {
          notRun += 1;
          continue;
        }
        const kind = source.isDataSet ? 'data set' : 'fixture';
        const place = `case ${results.length + 1}, ${kind} ${at + 1} of ${sources.length}`;
        progress.step(`${place}: ${name.file}, ${name.lowering}`);
        const absent = missing.find(({ provider }) => provider === name.provider);
        results.push(absent ? couldNotRun(name, unavailable(absent)) : await run());
      }
    }
    return { results, unreadable, loose, notRun };
  });

const unavailable = ({ provider }: ProviderFallback): Pick<SessionError, 'code' | 'message'> => ({
  code: 'PROVIDER_UNAVAILABLE',
  message: `${provider} cannot be used here`,
});

const couldNotRun = (
  name: CaseName,
  { code, message }: Pick<OnnxGroupNormError, 'code' | 'message'>,
): CaseResult => ({ ...name, passed: false, outputs: [], error: { code, message }, milliseconds: 0 });

/** Errors about the file are results; any other is a bug. */
function asUnreadable(error: unknown): OnnxGroupNormError {
  if (error instanceof OnnxGroupNormError) return error;
  throw error;
}
