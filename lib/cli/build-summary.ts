import type { Graph, Value } from '../graph/index.js';
import { lowerGraph } from '../lowering/index.js';
import { irVersionFor } from '../onnx/index.js';
import { elementCount, formatShape } from '../tensor.js';
import type { BuildOptions } from './build-options.js';
import { formatBytes, formatTable, indent, plural, quote } from './format.js';

/** What reached the disk. */
export interface Written {
  readonly bytes: number;
  /** Whether there is a file beside the model; where every weight is small there is none, even if asked for. */
  readonly external: boolean;
  /** Whether a file of that name is there that this build has not written: an older model's. */
  readonly stale?: boolean;
}

/** What was written, and what to do with it next. */
export function describeBuild(
  graph: Graph,
  options: BuildOptions,
  lowering: string,
  written: Written,
): string[] {
  const { output, opset } = options;
  const rows = [
    ['graph', graph.name],
    ['opset', `${opset}, IR version ${irVersionFor(opset)}`],
    ['lowering', lowering],
    ['nodes', String(lowerGraph(graph, lowering, opset).nodes.length)],
    ['parameters', describeParameters(graph)],
    ['weights', describeWeights(graph, options)],
    ...graph.inputs.map((value) => ['input', describeValue(value)]),
    ...graph.outputs.map((value) => ['output', describeValue(value)]),
  ];
  return [
    ...describeFiles(options, written),
    '',
    indent(formatTable(rows)),
    '',
    'Next, run it on random numbers:',
    `  onnx-groupnorm run ${quote(output)}${graph.inputs.map(randomInput).join('')}${sizes(graph)}`,
  ];
}

function describeFiles(
  { output, externalData }: BuildOptions,
  { bytes, external, stale }: Written,
): string[] {
  const beside = `${output}.data`;
  return [
    `Wrote ${external ? `${output} and ${beside}` : output} (${formatBytes(bytes)})`,
    ...(externalData && !external
      ? ['No file beside it: its weights are too small for a file of their own']
      : []),
    ...(stale ? [`${beside} is still there, from an older model: this one does not need it`] : []),
  ];
}

function describeParameters({ parameters }: Graph): string {
  const elements = parameters.map(({ shape }) => elementCount(shape as number[])).reduce((a, b) => a + b, 0);
  return `${plural(parameters.length, 'tensor')}, ${plural(elements, 'element')}`;
}

function describeWeights({ parameters }: Graph, { weights, seed }: BuildOptions): string {
  if (parameters.length === 0) return 'none';
  return weights ?? `PyTorch's default initialisation, seed ${seed}`;
}

const describeValue = ({ name, dtype, shape }: Value): string => `${name}  ${dtype} ${formatShape(shape)}`;

const randomInput = ({ name }: Value): string => ` --input ${quote(`${name}=random`)}`;

/** A size for every name: one sample, and of everything else enough to be halved a few times. */
function sizes({ inputs }: Graph): string {
  const names = inputs.flatMap(({ shape }) =>
    shape.flatMap((dim, axis) => (typeof dim === 'string' ? [[dim, axis]] : [])),
  );
  const bound = new Map(names.map(([name, axis]) => [name, axis === 0 ? 1 : 64]));
  return bound.size === 0 ? '' : ` --dim ${[...bound].map(([name, size]) => `${name}=${size}`).join(',')}`;
}
