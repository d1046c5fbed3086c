import type { ConvertedModel, ReplacedNorms } from '../rewrite/index.js';
import { formatBytes, plural } from './format.js';
import type { ModelData } from './model-data.js';

/** A conversion that was written. */
export interface Conversion {
  readonly path: string;
  readonly output: string;
  readonly converted: ConvertedModel;
  readonly data: ModelData;
}

/** What was written and replaced, and what the file still needs. */
export function describeConversion({ path, output, converted, data }: Conversion): string[] {
  const { bytes, replaced } = converted;
  const written = `Wrote ${output} (${formatBytes(bytes.byteLength)})`;
  return [
    ...(isCopy(replaced)
      ? [`${written}, a copy of ${path}: nothing in it needs to be rewritten`]
      : [written]),
    ...describeReplaced(converted),
    ...(replaced.rows > 0
      ? [
          `${plural(replaced.rows, 'other normalization')} that ONNX Runtime gets wrong, written as reduce-mean`,
        ]
      : []),
    ...describeData(data),
    ...describeNeeds(converted),
  ];
}

/** The ways in which GroupNorm was found, in words. */
const KINDS: readonly (readonly [kind: keyof ReplacedNorms, words: string])[] = [
  ['groupNormalization', 'GroupNormalization'],
  ['exported', 'as PyTorch exports it below opset 21'],
  ['inlined', 'inlined'],
];

const isCopy = (replaced: ReplacedNorms): boolean => Object.values(replaced).every((count) => count === 0);

function describeReplaced({ replaced, lowerings }: ConvertedModel): string[] {
  const kinds = KINDS.filter(([kind]) => replaced[kind] > 0);
  const total = kinds.reduce((sum, [kind]) => sum + replaced[kind], 0);
  if (total > 0) {
    const each = kinds.map(([kind, words]) => `${replaced[kind]} ${words}`).join(', ');
    return [`${total} GroupNorm written as ${lowerings.join(' and ')}: ${each}`];
  }
  return replaced.rows > 0 ? ['No GroupNorm to rewrite'] : [];
}

function describeData({ locations, copies }: ModelData): string[] {
  if (locations.length === 0) return [];
  return [`Its weights lie beside it: ${locations.join(', ')}${copies.length > 0 ? ' (copied)' : ''}`];
}

function describeNeeds({ lowerings, foreign }: ConvertedModel): string[] {
  return [
    ...(lowerings.includes('op')
      ? [
          'ONNX Runtime has no kernel for it and is wrong for large means: run it in a session of onnx-groupnorm',
        ]
      : []),
    ...(foreign.length > 0
      ? [`Operators that not every runtime has are left as they are: ${foreign.join(', ')}`]
      : []),
  ];
}
