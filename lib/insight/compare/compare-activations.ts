/**
 * Compares the values of a model with what PyTorch modules returned:
 *
 *     activations ─▶ findModuleValues, map ─▶ an activation for each value ─▶ compareValues ─▶ findFolded ─▶ result
 */
import { OptionError, ParityError } from '../../errors.js';
import { castTensor } from '../../half.js';
import { suggestion } from '../../nearest.js';
import { requireKnownOptions } from '../../options.js';
import { commonTolerance, compareAcrossDtypes } from '../../parity/match.js';
import { listNames } from '../../quantities.js';
import type { Feeds, Platform, TensorInfo } from '../../runtime/core/contract.js';
import { describeInput } from '../../runtime/core/tensors.js';
import { formatShape, isFloatDType, type TensorData } from '../../tensor.js';
import type { Activations } from '../values/activations.js';
import {
  type CompareOptions,
  DEFAULT_MAX_BYTES,
  describeSide,
  type ModelToCompare,
  notesOnEmpty,
  summarise,
} from './compare-models.js';
import { compareValues, type ReferenceValues } from './compare-values.js';
import type { ModelComparison, NotCompared, ValueComparison } from './comparison.js';
import { ModelRun } from '../values/intermediate-values.js';
import { findModuleValues, type ModuleValues, NO_NODE } from '../values/module-values.js';

/** The options of `compareActivations`. */
export interface CompareActivationsOptions extends Omit<CompareOptions, 'feeds'> {
  /** Values of the model by names of activations, and inputs of the model by names such as `input.image`. */
  readonly map?: ReadonlyMap<string, string> | undefined;
}

/** Implements `compareActivations` on a platform. */
export async function compareActivationsOn(
  platform: Platform,
  model: ModelToCompare,
  activations: Activations,
  options: CompareActivationsOptions = {},
): Promise<ModelComparison> {
  requireKnownOptions('compareActivations', options, OPTIONS);
  const { map = new Map<string, string>(), onProgress } = options;
  for (const name of map.keys()) requireTensor(activations, name);
  onProgress?.(`loading ${model.label ?? 'the model'}`);
  const notes: string[] = [];
  const run = await ModelRun.open(platform, model.model, {
    ...model,
    feeds: (inputs) => feedsOf(inputs, activations, map, notes),
  });
  try {
    return await compareRun(run, activations, map, notes, options);
  } finally {
    await run.dispose();
  }
}

const OPTIONS: readonly (keyof CompareActivationsOptions)[] = [
  'map',
  'rtol',
  'atol',
  'maxBytes',
  'heatMaps',
  'onProgress',
];

/** The prefix of inputs. */
const INPUT = 'input.';

function requireTensor({ label, types }: Activations, name: string): void {
  if (types.has(name)) return;
  const hint = suggestion(name, types.keys());
  throw new OptionError('INVALID_OPTION', `map: ${label} has no tensor '${name}'${hint}`);
}

/** Returns the inputs of the run that the activations are of. */
async function feedsOf(
  inputs: readonly TensorInfo[],
  activations: Activations,
  map: ReadonlyMap<string, string>,
  notes: string[],
): Promise<Feeds> {
  const names = new Map([...map].map(([name, value]) => [value, name]));
  const feeds: Record<string, TensorData> = {};
  for (const input of inputs) {
    const name = names.get(input.name) ?? INPUT + input.name;
    if (!activations.types.has(name)) {
      if (input.optional) continue;
      throw missingInput(input, activations);
    }
    const given = (await activations.read([name])).get(name)!;
    const { dtype = given.dtype } = input;
    const isCast = dtype !== given.dtype && isFloatDType(dtype) && isFloatDType(given.dtype);
    feeds[input.name] = isCast ? castTensor(given, dtype) : given;
    if (isCast) notes.push(`input '${input.name}' is cast from ${given.dtype} to ${dtype}`);
  }
  return feeds;
}

function missingInput(input: TensorInfo, { label, types }: Activations): ParityError {
  const there = [...types.keys()].filter((name) => name.startsWith(INPUT));
  const advice =
    there.length > 0
      ? `its inputs are ${listNames(there)}: save it under that name, or map the name that it has: '${there[0]}=${input.name}'`
      : 'none of its tensors is an input: save it with the program of docs/compare.md';
  return new ParityError(
    'INPUTS_DIFFER',
    `${label} has no 'input.${input.name}' for the model's input ${describeInput(input)}; ${advice}`,
  );
}

async function compareRun(
  run: ModelRun,
  activations: Activations,
  map: ReadonlyMap<string, string>,
  notes: readonly string[],
  options: CompareActivationsOptions,
): Promise<ModelComparison> {
  const { rtol, atol, maxBytes = DEFAULT_MAX_BYTES, heatMaps, onProgress } = options;
  const { chosen, found } = chooseActivations(run, activations, map);
  const compare = async (names: readonly string[]) =>
    compareValues(run, valuesOf(activations, chosen), { names, rtol, atol, maxBytes, heatMaps, onProgress });
  const compared = await compare([...chosen.keys()]);
  const folded = await findFolded(run, activations, compared.values, chosen, found.unmatched, options);
  const merged = [...folded].map(([value, name]) =>
    absent(
      'actual',
      chosen.get(value)!,
      `its node returns what '${name}' returned: the exporter merged the two`,
    ),
  );
  for (const [value, name] of folded) chosen.set(value, name);
  const again = folded.size > 0 ? (await compare([...folded.keys()])).values : [];
  const better = new Map(again.map((value) => [value.name, value]));
  const values = compared.values.map((value) => ({
    ...(better.get(value.name) ?? value),
    module: chosen.get(value.name),
  }));
  const isChosen = new Set(chosen.values());
  const unmatched = [...found.unmatched].filter(([name]) => !isChosen.has(name));
  const notCompared = [
    ...compared.notCompared,
    ...unmatched.map(([name, reason]) => absent('actual', name, reason)),
    ...merged,
    ...found.missing.map((name) => absent('expected', name, 'the file has no activation of this module')),
  ];
  return {
    ...summarise(values, notCompared),
    expected: { label: activations.label },
    actual: describeSide(run),
    values,
    notCompared,
    notes: [...notes, ...notesOnEmpty(values)],
    heatMaps: compared.heatMaps.filter(({ name }) => !folded.has(name)),
  };
}

const absent = (side: NotCompared['side'], name: string, reason: string): NotCompared => ({
  name,
  side,
  reason,
  isOutput: false,
});

/** Chooses an activation for each value that holds one: that of the innermost module, or that of the map. */
function chooseActivations(
  run: ModelRun,
  activations: Activations,
  map: ReadonlyMap<string, string>,
): { readonly chosen: Map<string, string>; readonly found: ModuleValues } {
  const inputs = new Set(Object.keys(run.feeds));
  const isInput = (name: string) =>
    inputs.has(map.get(name) ?? (name.startsWith(INPUT) ? name.slice(INPUT.length) : ''));
  const types = [...activations.types].filter(([name]) => !isInput(name));
  const found = findModuleValues(run.model, new Map(types));
  const chosen = new Map([...found.activations].map(([value, [innermost]]) => [value, innermost!]));
  for (const [name, value] of map) {
    if (inputs.has(value)) continue;
    requireValue(run, value);
    chosen.set(value, name);
  }
  if (chosen.size === 0) throw nothingMatches(activations, run, found);
  return { chosen, found };
}

function requireValue(run: ModelRun, value: string): void {
  const reason = run.whyNot(value);
  if (reason === undefined) return;
  const names = run.model.nodes.flatMap(({ outputs }) => outputs);
  throw new OptionError(
    'INVALID_OPTION',
    `map: value '${value}' of ${run.label} cannot be compared: ${reason}${suggestion(value, names)}`,
  );
}

function nothingMatches(
  { label }: Activations,
  run: ModelRun,
  { unmatched, missing }: ModuleValues,
): ParityError {
  const names = [...unmatched.keys()];
  const reasons = [...unmatched].filter(([, reason]) => reason !== NO_NODE);
  const lines = [
    `no tensor of ${label} is known to hold what a module of ${run.label} returned:`,
    `  the file has ${names.length > 0 ? listNames(names, 8) : 'inputs only'}`,
    missing.length > 0
      ? `  the model has the modules ${listNames(missing, 8)}`
      : '  the nodes of the model do not say from which modules they come: name its values (map)',
    ...reasons.slice(0, 3).map(([name, reason]) => `  ${name}: ${reason}`),
    'save the activations from the module that was exported, with the program of docs/compare.md',
  ];
  return new ParityError('NO_ACTIVATIONS', lines, { option: missing.length > 0 ? undefined : 'map' });
}

/** Makes values to compare with of activations, which are read from the file when they are needed. */
const valuesOf = ({ label, read }: Activations, chosen: ReadonlyMap<string, string>): ReferenceValues => ({
  label,
  names: [...chosen.keys()],
  whyNot: () => undefined,
  readable: (names) => Promise.resolve(names),
  read: async (names) => {
    const tensors = await read(names.map((value) => chosen.get(value)!));
    return {
      tensors: new Map(names.map((value) => [value, tensors.get(chosen.get(value)!)!])),
      dispose: () => undefined,
    };
  },
});

/**
 * Finds values that hold what another module returned than the module that their nodes are named for: an exporter folds a
 * BatchNorm into the convolution before it, and the BatchNorm has no node.
 * @returns The activation by the value.
 */
async function findFolded(
  run: ModelRun,
  { types, read }: Activations,
  values: readonly ValueComparison[],
  chosen: ReadonlyMap<string, string>,
  unmatched: ReadonlyMap<string, string>,
  { map, rtol, atol, maxBytes = DEFAULT_MAX_BYTES }: CompareActivationsOptions,
): Promise<Map<string, string>> {
  const placeOf = (name: string) => `${parentOf(name)} ${formatShape(types.get(name)!.dims)}`;
  const withoutNode = new Map<string, string[]>();
  for (const [name, reason] of unmatched) {
    if (reason !== NO_NODE) continue;
    const others = withoutNode.get(placeOf(name)) ?? [];
    withoutNode.set(placeOf(name), others);
    if (others.length < MOST_SIBLINGS) others.push(name);
  }
  const siblings = new Map<string, readonly string[]>();
  const limits = new Map<string, number>();
  for (const { name, verdict, difference } of values) {
    const own = chosen.get(name)!;
    const others = withoutNode.get(placeOf(own));
    if (verdict !== 'drifts' || !others || map?.has(own)) continue;
    siblings.set(name, others);
    limits.set(name, difference!.toleranceUsed / MUCH_CLOSER);
  }
  const folded = new Map<string, string>();
  for await (const tensors of run.slices([...siblings.keys()], maxBytes))
    for (const [value, actual] of tensors)
      for (const name of siblings.get(value)!) {
        const expected = (await read([name])).get(name)!;
        const tolerance = commonTolerance(actual.dtype, expected.dtype, { rtol, atol });
        const { toleranceUsed } = compareAcrossDtypes(value, actual, expected, tolerance);
        if (toleranceUsed >= limits.get(value)!) continue;
        limits.set(value, toleranceUsed);
        folded.set(value, name);
      }
  return folded;
}

/** The most modules that a value is compared with: a block has few. */
const MOST_SIBLINGS = 64;
/** How much closer a value must be to what the other module returned. */
const MUCH_CLOSER = 10;

/** Returns the path of the module that a module lies in. */
const parentOf = (name: string): string => name.slice(0, Math.max(name.lastIndexOf('.'), 0));
