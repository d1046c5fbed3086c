/** What may go wrong with a normalization: what this project has measured, in words, and what a run shows, in figures. */
import { PER_CHANNEL_OPSET } from '../../lowering/op.js';
import { formatDifference, formatDigits, formatNumber } from '../../quantities.js';
import { MAX_LAYER_NORM_ROW } from '../../rewrite/norms/row-norms.js';
import { elementCount, isStatic } from '../../tensor.js';
import type { Normalization, NormalizationStatistics } from './types.js';

/** What is known of a normalization before the warnings. */
export type Facts = Omit<Normalization, 'warnings' | 'statistics'>;

/** What warnings depend on. */
interface Findings {
  readonly facts: Facts;
  /** Why sessions cannot rewrite the normalization, if they cannot. */
  readonly reason: string | undefined;
  /** The version of ONNX's operator set; `undefined` if the model has none. */
  readonly opset: number | undefined;
  readonly statistics: NormalizationStatistics | undefined;
  /** Why a run has no statistics of it. */
  readonly problem: string | undefined;
}

/** Returns what may go wrong, in sentences. */
export const warningsOf = (findings: Findings): string[] =>
  WARNINGS.map((describe) => describe(findings)).filter((text) => text !== undefined);

type Warning = (findings: Findings) => string | undefined;

const isGroupNormOperator = ({ form, operator }: Facts): boolean =>
  form === 'operator' && operator === 'GroupNormalization';

/** Where ONNX's definition runs in place of the operator. */
const WITHOUT_PACKAGE = "without this package, and with groupNorm: 'op'";

/** docs/providers.md, docs/performance.md and `MAX_LAYER_NORM_ROW` have the measurements. */
const WARNINGS: readonly Warning[] = [
  function noKernel({ facts, statistics }) {
    if (!isGroupNormOperator(facts)) return undefined;
    return `ONNX Runtime has no kernel for GroupNormalization: ${WITHOUT_PACKAGE}, it runs the operator's definition, whose result ${errorOfBody(statistics)}`;
  },
  function inlinedDefinition({ facts, statistics }) {
    if (facts.form !== 'inlined') return undefined;
    const where =
      facts.where === 'graph' ? WITHOUT_PACKAGE : 'in bodies and functions, where sessions leave it';
    return `the nodes take the variance as E[x²] − E[x]²: ${where}, the result ${errorOfBody(statistics)}`;
  },
  function instanceNormKernel({ facts: { form, operator, where } }) {
    const isExportInside = form === 'exported' && where !== 'graph';
    if (!isExportInside && (form !== 'operator' || operator !== 'InstanceNormalization')) return undefined;
    return "ONNX Runtime's own kernel loses digits if the mean of a channel is many times its standard deviation, on WebAssembly more than elsewhere";
  },
  function layerNormKernel({ facts: { form, operator, providers } }) {
    if (form !== 'operator' || operator !== 'LayerNormalization' || providers.cpu === 'onnxruntime')
      return undefined;
    return (
      `ONNX Runtime's own kernel adds up a row in one float32, and a row has more than ${MAX_LAYER_NORM_ROW} elements or an ` +
      'unknown number: the longer the row, the more digits the result loses, above all after a ReLU'
    );
  },
  function oneGroupInTensorRT({ facts }) {
    if (!isGroupNormOperator(facts) || facts.groups !== 1) return undefined;
    return (
      'where TensorRT reads the operator itself, it takes num_groups = 1 for one group per channel: in version 10.16 the ' +
      'result is wrong (https://github.com/NVIDIA/TensorRT/issues/4756)'
    );
  },
  function refusedByTensorRT({ facts, opset = 0 }) {
    if (!isGroupNormOperator(facts) || opset < PER_CHANNEL_OPSET) return undefined;
    return (
      'TensorRT before 10.9 refuses GroupNormalization from opset 21 on, where scale and bias have one element for each ' +
      'channel (https://github.com/NVIDIA/TensorRT/issues/4336)'
    );
  },
  function refusedByChecker({ facts, opset }) {
    if (!isGroupNormOperator(facts) || !isPerGroup(opset)) return undefined;
    return "onnx.checker refuses the model: ONNX has deprecated the GroupNormalization of opset 18 to 20, whose scale and bias have one element for each group, not PyTorch's one for each channel";
  },
  function withoutCpuKernel({ facts: { operator } }) {
    if (!['com.microsoft.GroupNorm', 'com.microsoft.SkipGroupNorm'].includes(operator)) return undefined;
    return `ONNX Runtime's CPU provider has no kernel for ${operator}: without this package it does not load the model`;
  },
  function overflow({ facts, opset, statistics }) {
    if (facts.dtype !== 'float16') return undefined;
    const isOfOwnSquares = facts.form === 'inlined' || (isGroupNormOperator(facts) && isPerGroup(opset));
    return isOfOwnSquares ? describeSquares(statistics) : describeSum(facts, statistics);
  },
  ({ reason }) => reason && `sessions refuse it where they must rewrite it: ${reason}`,
  ({ problem }) => problem && `no statistics of this run: ${problem}`,
  ({ statistics }) =>
    statistics && statistics.notFinite > 0
      ? `${statistics.notFinite} of ${statistics.rows} rows have NaN or an infinity in this run, and no statistics`
      : undefined,
];

/** Opsets whose GroupNormalization has one scale per group; its definition computes in the dtype of the input. */
const isPerGroup = (opset: number | undefined): boolean =>
  opset !== undefined && opset >= 18 && opset < PER_CHANNEL_OPSET;

/** What figures of a run stand behind: rows have the same warning if the text before it is the same. */
export const FOR_THIS_INPUT = ' for this input';

/** Says how far ONNX's definition is off for this input, or without a run, where it is. */
function errorOfBody(statistics: NormalizationStatistics | undefined): string {
  if (!statistics) return 'is wrong if the mean of a group is many times its standard deviation';
  const { meanToDeviation, inlinedError, inlinedToleranceUsed: used } = statistics;
  const error = `off by ${formatDifference(inlinedError)}`;
  const tolerance = `${used > 1 ? `${formatDigits(used, 2)} times` : 'within'} assert_close's tolerance`;
  const [verdict, figures] = Number.isNaN(inlinedError)
    ? ['is NaN', '']
    : [used > 1 ? 'is wrong' : 'is right', `: ${error}, ${tolerance}`];
  return `${verdict}${FOR_THIS_INPUT}${figures}, where the mean is up to ${formatDigits(meanToDeviation, 3)} deviations from 0`;
}

/** The largest float16. */
const LARGEST = 65504;

/** Says whether x² overflows. */
function describeSquares(statistics: NormalizationStatistics | undefined): string | undefined {
  const text = 'x² is float16, which ends at 65,504';
  if (!statistics) return `${text}: it overflows from |x| = 256 on`;
  const { largest } = statistics;
  return largest ** 2 > LARGEST
    ? `${text}: for this input it is up to ${formatNumber(largest ** 2)}`
    : undefined;
}

/** Says whether the sum over a row overflows. */
function describeSum(facts: Facts, statistics: NormalizationStatistics | undefined): string | undefined {
  const text = (what: string) =>
    `a runtime that adds up a row in float16, which ends at 65,504, overflows${what}`;
  if (statistics) {
    const { sumOfSquares } = statistics;
    return sumOfSquares > LARGEST
      ? text(`${FOR_THIS_INPUT}, where (x − mean)² of a row adds up to ${formatDigits(sumOfSquares, 3)}`)
      : undefined;
  }
  const length = rowLengthOf(facts);
  if (length === undefined || length <= LARGEST) return undefined;
  const deviation = formatDigits(Math.sqrt(LARGEST / length), 2);
  return text(` from a deviation of ${deviation} on: a row has ${length.toLocaleString('en')} elements`);
}

/** Returns the number of elements of a row, where groups and all sizes but the first are known. */
function rowLengthOf({ shape, groups }: Facts): number | undefined {
  const rest = shape?.slice(1);
  return rest && groups !== undefined && isStatic(rest) ? elementCount(rest) / groups : undefined;
}
