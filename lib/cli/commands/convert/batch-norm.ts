/** `convert --batch-norm-to-group-norm`: a model, or a state_dict, whose BatchNorm becomes GroupNorm. */
import { extname } from 'node:path';
import type { FileToWrite } from '../../../files/atomic.js';
import type { Limits } from '../../../limits.js';
import { formatBytes, listNames, plural } from '../../../quantities.js';
import type { GroupNormModel } from '../../../rewrite/batch-norm/batch-norm.js';
import { HOW_TO_EXPORT, TRAIN_AGAIN } from '../../../rewrite/batch-norm/report.js';
import { batchNormToGroupNormStateDict } from '../../../weights/batch-norm.js';
import { encodeSafetensors } from '../../../weights/safetensors.js';
import { openSafetensors } from '../../../weights/safetensors-file.js';
import { fitTable, indent } from '../../shared/table.js';

/** Returns whether a path names a state_dict, and not a model. */
export const isStateDict = (path: string): boolean => extname(path).toLowerCase() === '.safetensors';

/** A normalization that was replaced: in a model, or in a state_dict. */
interface Row {
  readonly module: string | undefined;
  readonly name?: string;
  readonly channels: number;
  readonly numGroups: number;
}

/** Returns what was replaced in a model, as lines. The columns are PyTorch's modules, or nodes where they are not known. */
export function describeModel(
  { bytes, norms, convsWithoutNorm }: GroupNormModel,
  output: string,
  keepAffine: boolean,
): string[] {
  const own = convsWithoutNorm.filter(({ isFolded }) => !isFolded).map(({ name }) => name);
  return [
    `Wrote ${output} (${formatBytes(bytes.byteLength)})`,
    `${norms.length} BatchNormalization became GroupNormalization, ${describeAffine(keepAffine)}`,
    ...(own.length > 0
      ? [
          `No BatchNormalization is behind ${plural(own.length, 'convolution')} with a bias: ${listNames(own, 3)}. If ` +
            `PyTorch has one there, the exporter has folded it into the bias: ${HOW_TO_EXPORT}`,
        ]
      : []),
    ...describeNorms(norms),
  ];
}

const describeAffine = (keepAffine: boolean): string =>
  keepAffine ? 'with its scale and bias' : 'with scale 1 and bias 0';

function describeNorms(norms: readonly Row[]): string[] {
  const isKnown = norms.every(({ module }) => module !== undefined);
  const cells = (cell: (row: Row) => string) => norms.map(cell);
  const table = fitTable([
    {
      head: isKnown ? 'module' : 'node',
      cells: cells(({ module, name }) => (isKnown ? module || '(the network itself)' : name!)),
    },
    { head: 'channels', align: 'right', cells: cells(({ channels }) => String(channels)) },
    { head: 'groups', align: 'right', cells: cells(({ numGroups }) => String(numGroups)) },
  ]);
  const keys =
    'In the state_dict, each module keeps weight and bias; running_mean, running_var and num_batches_tracked are gone';
  return ['', ...indent(table).split('\n'), ...(isKnown ? ['', keys] : [])];
}

/** Reads a state_dict. Returns the file of the new one, and what was replaced, as lines. */
export async function convertStateDict(
  path: string,
  output: string,
  options: { readonly numGroups: number | undefined; readonly keepAffine: boolean },
  limits: Partial<Limits> | undefined,
): Promise<{
  readonly files: readonly FileToWrite[];
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}> {
  const source = await openSafetensors(path, { limits });
  try {
    const { tensors, norms, removed } = batchNormToGroupNormStateDict(await source.readAll(), options);
    const content = encodeSafetensors({ metadata: source.metadata, tensors });
    return {
      files: [{ path: output, content }],
      lines: [
        `Wrote ${output} (${plural(tensors.size, 'tensor')}; ${removed.length} removed)`,
        `${norms.length} BatchNorm became GroupNorm, ${describeAffine(options.keepAffine)}`,
        ...describeNorms(norms),
      ],
      warnings: [TRAIN_AGAIN],
    };
  } finally {
    await source.close();
  }
}
