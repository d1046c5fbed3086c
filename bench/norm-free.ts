/**
 * A network without its GroupNorms, for the price of the norm. What is left must compute with ordinary numbers: left to
 * themselves, activations without norms shrink to denormal numbers, which processors are slow with, or grow to infinity.
 *
 * A norm behind a convolution becomes a BatchNormalization with the mean and the deviation that the norm itself measures
 * for an input. ONNX Runtime and OpenVINO fold it into the convolution, and for this input the network computes what it did
 * with its norms. Other norms, such as those behind a sum, cannot be folded: they go.
 */
import { float } from '../lib/graph/attr.js';
import { type Node, Value } from '../lib/graph/types.js';
import { ModelRun } from '../lib/insight/values/intermediate-values.js';
import { Model } from '../lib/onnx/model.js';
import type { ModelNode } from '../lib/onnx/node.js';
import { isGroupNorm } from '../lib/rewrite/group-normalization.js';
import { isOp, reference } from '../lib/rewrite/patterns.js';
import { NODE } from '../lib/runtime/node.js';
import { tensor, type TensorData } from '../lib/tensor.js';

export interface NormFree {
  readonly bytes: Uint8Array;
  readonly folded: number;
  readonly removed: number;
  /** Of all numbers that the network computes, the share of denormal, infinite and undefined ones. */
  readonly extraordinary: number;
}

/** The most bytes of activations that are read at once. */
const SLICE = 2 ** 28;

/** @param x The input of the model, of one sample. */
export async function withoutNorms(bytes: Uint8Array, x: TensorData): Promise<NormFree> {
  const model = Model.decode(bytes);
  const norms = model.nodes.filter(isGroupNorm);
  if (norms.length === 0) throw new Error('the model does not have a GroupNormalization');
  const foldable = new Set(norms.filter((norm) => isBehindConv(model, norm)).map(({ inputs: [x] }) => x!));
  const statistics = new Map<string, Statistics>();
  const groupsOf = new Map(norms.map((norm) => [norm.inputs[0]!, norm.number('num_groups')!]));
  await readValues(bytes, x, [...foldable], (name, value) =>
    statistics.set(name, measure(value, groupsOf.get(name)!)),
  );
  model.replaceNodes((norm) => {
    const measured = isGroupNorm(norm) ? statistics.get(norm.inputs[0]!) : undefined;
    return measured && batchNorm(norm, measured);
  });
  const removed = removeNorms(model);
  const result = model.encode();
  return {
    bytes: result,
    folded: norms.length - removed,
    removed,
    extraordinary: await extraordinaryIn(result, x),
  };
}

/** Whether the norm alone reads the result of a convolution. */
function isBehindConv({ index }: Model, { inputs: [x] }: ModelNode): boolean {
  const conv = index.producer(x!);
  return conv !== undefined && isOp(conv, 'Conv') && index.onlyReader(x!) !== undefined;
}

/** Of each channel: the mean and the variance of its group. */
interface Statistics {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

function measure({ data, dims: [, channels = 1] }: TensorData, groups: number): Statistics {
  const values = data as Float32Array;
  const [mean, variance] = [new Float32Array(channels), new Float32Array(channels)];
  const [length, channelsOfGroup] = [values.length / groups, channels / groups];
  for (let group = 0; group < groups; group++) {
    const row = Float64Array.from(values.subarray(group * length, (group + 1) * length));
    const center = row.reduce((sum, value) => sum + value, 0) / length;
    const square = row.reduce((sum, value) => sum + (value - center) ** 2, 0) / length;
    const start = group * channelsOfGroup;
    mean.fill(center, start, start + channelsOfGroup);
    variance.fill(square, start, start + channelsOfGroup);
  }
  return { mean, variance };
}

function batchNorm(norm: ModelNode, { mean, variance }: Statistics): { nodes: Node[]; constants: Value[] } {
  const [y] = norm.outputs as [string];
  const constants = Object.entries({ mean, variance }).map(
    ([name, data]) =>
      new Value(
        {},
        'constant',
        `${y}.${name}`,
        'float32',
        [data.length],
        tensor('float32', [data.length], data),
      ),
  );
  const node: Node = {
    name: `${y}.batch-norm`,
    opType: 'BatchNormalization',
    inputs: [...norm.inputs.map(reference), ...constants],
    outputs: [reference(y)],
    attributes: { epsilon: float(norm.number('epsilon') ?? 1e-5) },
  };
  return { nodes: [node], constants };
}

/** What reads the output of a norm reads its input from now on. @returns How many norms were removed. */
function removeNorms(model: Model): number {
  const inputs = new Map(
    model.nodes.filter(isGroupNorm).map(({ inputs, outputs }) => [outputs[0]!, inputs[0]!]),
  );
  const sourceOf = (name: string): string => (inputs.has(name) ? sourceOf(inputs.get(name)!) : name);
  const removed = model.removeNodes(isGroupNorm);
  model.renameValues(new Map([...inputs.keys()].map((y) => [y, sourceOf(y)])));
  return removed;
}

async function extraordinaryIn(bytes: Uint8Array, x: TensorData): Promise<number> {
  let [count, found] = [0, 0];
  await readValues(bytes, x, undefined, (_, { data }) => {
    if (!(data instanceof Float32Array)) return;
    count += data.length;
    for (const value of data) if (!isOrdinary(value)) found += 1;
  });
  return found / count;
}

const LEAST_NORMAL = 2 ** -126;
const isOrdinary = (value: number): boolean =>
  value === 0 || (Math.abs(value) >= LEAST_NORMAL && Number.isFinite(value));

/** Reads values of a run on ONNX Runtime; without names, all values. */
async function readValues(
  bytes: Uint8Array,
  x: TensorData,
  names: readonly string[] | undefined,
  read: (name: string, value: TensorData) => void,
): Promise<void> {
  const run = await ModelRun.open(NODE, bytes, {
    feeds: ([input]) => ({ [input!.name]: x }),
    session: { providers: ['native'] },
  });
  try {
    for await (const values of run.slices(names ?? run.names, SLICE))
      for (const [name, value] of values) read(name, value);
  } finally {
    await run.dispose();
  }
}
