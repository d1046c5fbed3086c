/** What `build` writes for every network: the flags that say how, and the summary of what was written. */
import { stat } from 'node:fs/promises';
import { Option } from 'commander';
import type { InputType } from '../../../../graphs/shared/definition.js';
import { keepIo } from '../../../graph/keep-io.js';
import type { DeferredWeights, Graph, Value } from '../../../graph/types.js';
import { DEFAULT_OPSET, defaultLowering, getLowering, MAX_OPSET, MIN_OPSET } from '../../../lowering/choose.js';
import { lowerGraph } from '../../../lowering/lower.js';
import { LOWERING_NAMES, type LoweringName } from '../../../lowering/types.js';
import { irVersionFor } from '../../../onnx/encode.js';
import { writeModel, type WriteOptions } from '../../../onnx/write.js';
import { formatBytes, plural } from '../../../quantities.js';
import { elementCount, FLOAT_DTYPES, type FloatDType, formatShape, isFloatDType } from '../../../tensor.js';
import { collectShape, parseInteger } from '../../shared/options.js';
import { formatTable, indent, quote } from '../../shared/table.js';

/** How a model is written. */
export interface ModelOptions {
  readonly output: string;
  readonly opset: number;
  readonly lowering?: string;
  readonly dtype: FloatDType;
  readonly keepIo?: boolean;
  readonly shape?: InputType['shape'];
  readonly externalData?: boolean;
}

/** Returns the options of {@link ModelOptions} but for the output, new objects for each command. */
export const modelFlags = (): Option[] => [
  new Option('--opset <n>', `opset of the model, ${MIN_OPSET} to ${MAX_OPSET}`)
    .argParser(parseInteger)
    .default(DEFAULT_OPSET),
  new Option(
    '--lowering <name>',
    `how to write GroupNormalization: ${LOWERING_NAMES.join(', ')} ` +
      '(default: op from opset 21, otherwise reduce-mean)',
  ),
  new Option('--dtype <dtype>', 'dtype of the input and the weights')
    .choices(FLOAT_DTYPES)
    .default('float32'),
  new Option('--keep-io', 'keep float32 inputs and outputs, and cast to --dtype inside the model'),
  new Option(
    '--shape <dims>',
    'shape of the input: sizes, or names for sizes known only at run time, such as N,32,H,W ' +
      '(default: names for all dimensions except the channels). For a network with several inputs, give --shape for ' +
      'each, with its name: --shape sample=1,4,64,64',
  ).argParser(collectShape),
  new Option('--external-data', 'write the weights to FILE.data beside the model (needed above 2 GiB)'),
];

/** Returns the lowering for a model. @throws GraphError if the opset lacks it. */
export const loweringOf = ({ lowering, opset }: Pick<ModelOptions, 'lowering' | 'opset'>): LoweringName =>
  getLowering(lowering ?? defaultLowering(opset), opset).name;

/** Returns the graph with float32 inputs and outputs if `--keep-io` asks for them. */
export const withIo = (graph: Graph, { keepIo: isKept }: ModelOptions): Graph =>
  isKept ? keepIo(graph, 'float32') : graph;

/** Writes a model, and says which files there are. */
export async function writeBuild(
  graph: Graph,
  weights: DeferredWeights,
  options: ModelOptions,
  onProgress?: WriteOptions['onProgress'],
): Promise<Written> {
  const { output, opset, externalData } = options;
  const bytes = await writeModel(output, graph, weights, {
    opset,
    lowering: loweringOf(options),
    externalData,
    onProgress,
  });
  const external = bytes > (await stat(output)).size;
  return { bytes, external, stale: !external && (await exists(`${output}.data`)) };
}

const exists = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined)) !== undefined;

/** The files that a build has written. */
export interface Written {
  readonly bytes: number;
  /** Whether there is a data file. Small weights stay in the model, even with `--external-data`. */
  readonly external: boolean;
  /** Whether the folder has a data file of an older model, under the name that this model would use. */
  readonly stale?: boolean;
}

/**
 * Returns what was written and the command that runs it, as lines.
 * @param weights Where the weights come from.
 * @param origin Rows on what the graph was made of.
 */
export function describeBuild(
  graph: Graph,
  options: Pick<ModelOptions, 'output' | 'opset' | 'lowering' | 'externalData'>,
  weights: string,
  written: Written,
  origin: readonly (readonly string[])[] = [],
): string[] {
  const { output, opset } = options;
  const lowering = loweringOf(options);
  const rows = [
    ...origin,
    ['graph', graph.name],
    ['opset', `${opset}, IR version ${irVersionFor(opset)}`],
    ['lowering', lowering],
    ['nodes', String(lowerGraph(graph, lowering, opset).nodes.length)],
    ['parameters', describeParameters(graph)],
    ['weights', graph.parameters.length === 0 ? 'none' : weights],
    ...graph.inputs.map((value) => ['input', describeValue(value)]),
    ...graph.outputs.map((value) => ['output', describeValue(value)]),
  ];
  return [
    ...describeFiles(options, written),
    '',
    indent(formatTable(rows)),
    '',
    'Next, run it on random numbers:',
    ...exampleRun(output, graph).map((line) => `  ${line}`),
  ];
}

function describeFiles(
  { output, externalData }: Pick<ModelOptions, 'output' | 'externalData'>,
  written: Written,
): string[] {
  const { bytes, external, stale } = written;
  const data = `${output}.data`;
  return [
    `Wrote ${external ? `${output} and ${data}` : output} (${formatBytes(bytes)})`,
    ...(externalData && !external ? ['No data file: the weights are small and stay in the model'] : []),
    ...(stale ? [`${data} belongs to an older model; this model does not use it`] : []),
  ];
}

function describeParameters({ parameters }: Graph): string {
  const elements = parameters.map(({ shape }) => elementCount(shape as number[])).reduce((a, b) => a + b, 0);
  return `${plural(parameters.length, 'tensor')}, ${plural(elements, 'element')}`;
}

const describeValue = ({ name, dtype, shape }: Value): string => `${name}  ${dtype} ${formatShape(shape)}`;

/** Returns the commands that run a model: only floats can be random, so each input of integers gets a file. */
export function exampleRun(output: string, { inputs }: Pick<Graph, 'inputs'>): string[] {
  const integers = inputs.filter(({ dtype }) => !isFloatDType(dtype));
  const files = integers.map(({ name, shape }) => {
    const zeros = shape.reduceRight<unknown>((inner, dim, axis) => {
      const size = typeof dim === 'number' ? dim : exampleSize(dim, axis);
      return Array.from({ length: size }, () => inner);
    }, 0);
    return `echo ${quote(JSON.stringify(zeros))} > ${quote(`${name}.json`)}`;
  });
  const given = integers.map(({ name }) => ` --input ${quote(`${name}=${name}.json`)}`);
  const named = inputs
    .filter(({ dtype }) => isFloatDType(dtype))
    .flatMap(({ shape }) =>
      shape.flatMap((dim, axis): [string, number | 'SIZE'][] => {
        if (typeof dim === 'number') return [];
        // Features such as those of Stable Diffusion XL's text encoders: only the user knows how many there are.
        const isFeatures = shape.length === 2 && axis === 1;
        return [[dim, isFeatures ? 'SIZE' : exampleSize(dim, axis)]];
      }),
    );
  const sizes = [...new Map(named)].map(([name, size]) => `${name}=${size}`).join(',');
  return [
    ...files,
    `npx onnx-groupnorm run ${quote(output)} --random${given.join('')}${sizes && ` --dim ${sizes}`}`,
  ];
}

/** Returns 1 for the batch, 16 for latents, which a decoder makes eight times as large, and 64, which networks can halve. */
const exampleSize = (name: string, axis: number): number =>
  axis === 0 ? 1 : name === 'h' || name === 'w' ? 16 : 64;
