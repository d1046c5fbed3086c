/** In which ways the cases of `parity` are run. */
import {
  defaultLowering,
  getLowering,
  loweringsAt,
  requireOpset,
  type SessionLoweringName,
} from '../lowering/index.js';
import type { CheckSpec, TestDataSpec } from '../parity/index.js';
import type { Provider } from '../runtime/index.js';
import { parseNames } from './arguments.js';

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
