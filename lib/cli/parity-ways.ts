/** Fixtures, and data sets of existing models, in each way that they are to be run. */
import { getGraph } from '../../graphs/registry.js';
import {
  checkFixture,
  checkTestDataSet,
  defaultTolerance,
  readFixture,
  readTestDataSet,
  type BuildGraph,
  type CaseResult,
  type CheckSpec,
  type Fixture,
} from '../parity/index.js';
import type { CaseName } from '../parity/case.js';
import { graphNameOf, nameCase } from '../parity/check-test-data-set.js';
import { modelPathOf } from '../parity/read-test-data-set.js';
import type { ParitySource } from './parity-files.js';
import type { ParityPlan } from './parity-plan.js';

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
