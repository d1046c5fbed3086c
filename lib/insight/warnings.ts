/** What may go wrong with a normalization: what this project has measured, with the figures of docs/. */
import { MAX_LAYER_NORM_ROW } from '../rewrite/row-norms.js';
import type { Normalization } from './types.js';

/** What is known of a normalization before the warnings. */
export type Facts = Omit<Normalization, 'warnings'>;

interface Warning {
  readonly text: string;
  readonly applies: (facts: Facts) => boolean;
}

const isGroupNormOperator = ({ form, operator }: Facts) =>
  form === 'operator' && operator === 'GroupNormalization';

/** docs/providers.md, docs/sessions.md and `MAX_LAYER_NORM_ROW` have the measurements. */
const WARNINGS: readonly Warning[] = [
  {
    applies: isGroupNormOperator,
    text:
      "ONNX Runtime has no kernel for GroupNormalization. Its inlined definition, which runs without this package and with groupNorm: 'op', " +
      'is off by 0.5 at mean 300 on the CPU',
  },
  {
    applies: ({ form }) => form === 'inlined',
    text:
      "the variance is E[x²] − E[x]², as in ONNX's definition: without this package, and with groupNorm: 'op', " +
      'the result is off by 0.5 at mean 300 on the CPU',
  },
  {
    applies: ({ form, operator }) => form === 'operator' && operator === 'InstanceNormalization',
    text:
      "ONNX Runtime's own kernel is off by 1.9e-3 (WebAssembly: 7.9e-3) at mean 1,000 and deviation 0.1, in rows of " +
      '1,024 elements',
  },
  {
    applies: ({ operator, providers }) =>
      operator === 'LayerNormalization' && providers.cpu !== 'onnxruntime',
    text:
      `ONNX Runtime's own kernel sums a row in one float32, and a row has more than ${MAX_LAYER_NORM_ROW} elements or an ` +
      "unknown number: after a ReLU it is off by 1.1 times assert_close's tolerance in rows of 8,192 elements, and 22 " +
      'times in rows of 262,144',
  },
  {
    applies: ({ operator, where }) => operator === 'GroupNormalization' && where !== 'graph',
    text:
      'sessions without the native kernel, and convert, refuse the model: a GroupNormalization in a function or in the ' +
      'body of an If, Loop or Scan is not rewritten',
  },
];

/** @param reason Why sessions cannot rewrite it, if they cannot. */
export const warningsOf = (facts: Facts, reason: string | undefined): string[] => [
  ...WARNINGS.filter(({ applies }) => applies(facts)).map(({ text }) => text),
  ...(reason === undefined ? [] : [`sessions refuse it where they must rewrite it: ${reason}`]),
];
