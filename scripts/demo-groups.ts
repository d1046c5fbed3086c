/** As one verifies GroupNorm in PyTorch: without γ and β, every group has mean 0 and deviation 1. */
import { formatTable } from '../lib/cli/shared/table.js';
import {
  createSession,
  encodeModel,
  type Fixture,
  getGraph,
  matchStateDict,
  type TensorData,
  toFloat64Array,
} from '../lib/index.js';

/** eps takes up to eps/2 = 5e-6 off the deviation of inputs like these; rounding y to float32 adds about 1e-6. */
const TOLERANCE = 1e-4;
/** Groups that the table shows besides the worst. */
const SHOWN = 3;

interface Moments {
  readonly sample: number;
  readonly group: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Runs a fixture of graph group-norm and looks at each group of its output. */
export async function verifyGroups(fixture: Fixture): Promise<{ passed: boolean; table: string }> {
  const groups = groupMoments(fixture, await runGroupNorm(fixture));
  const fault = ({ mean, deviation }: Moments) => Math.max(Math.abs(mean), Math.abs(deviation - 1));
  const worst = groups.reduce((a, b) => (fault(b) > fault(a) ? b : a));
  const row = ({ sample, group, mean, deviation }: Moments, note = ''): string[] => [
    String(sample),
    String(group),
    mean.toExponential(1),
    deviation.toFixed(6),
    note,
  ];
  const table = formatTable(
    [...groups.slice(0, SHOWN).map((moments) => row(moments)), row(worst, `the worst of ${groups.length}`)],
    ['sample', 'group', 'mean', 'deviation', ''],
    ['right', 'right', 'right', 'right'],
  );
  return { passed: groups.every((moments) => fault(moments) < TOLERANCE), table };
}

async function runGroupNorm({ graph: name, options, inputs, stateDict }: Fixture): Promise<TensorData> {
  const { dtype, dims } = inputs.get('x')!;
  const graph = getGraph(name).build(options, { dtype, shape: dims });
  const session = await createSession(encodeModel(graph, matchStateDict(graph, stateDict)));
  try {
    return (await session.run(Object.fromEntries(inputs))).y!;
  } finally {
    await session.dispose();
  }
}

/** Mean and deviation of (y − β) / γ over each group, in float64. */
function groupMoments({ options, stateDict }: Fixture, y: TensorData): Moments[] {
  const [samples = 0, channels = 0] = y.dims;
  const numGroups = options.numGroups as number;
  const [values, weight, bias] = [y, stateDict.get('weight')!, stateDict.get('bias')!].map(toFloat64Array);
  const plane = values!.length / (samples * channels);
  const normalized = values!.map((value, i) => {
    const channel = Math.floor(i / plane) % channels;
    return (value - bias![channel]!) / weight![channel]!;
  });
  const size = (channels / numGroups) * plane;
  return Array.from({ length: samples * numGroups }, (_, at) => {
    const group = normalized.subarray(at * size, (at + 1) * size);
    const mean = group.reduce((sum, value) => sum + value, 0) / size;
    const variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
    return {
      sample: Math.floor(at / numGroups),
      group: at % numGroups,
      mean,
      deviation: Math.sqrt(variance),
    };
  });
}
