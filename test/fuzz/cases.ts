/** Cases by number: the same seed and path always make the same case. */
import fc from 'fast-check';
import { type Case, FORMATS } from './formats.js';

/** Which case: fast-check's seed and path. The path is a number, with the steps of shrinking behind it: `17:0:3`. */
export interface CaseId {
  readonly seed: number;
  readonly path: string;
}

/** A case and its format. */
export interface FormatCase {
  readonly format: string;
  readonly sample: Case;
}

/** Makes cases of every format, or of `only` one. */
export const casesOf = (only?: string): fc.Arbitrary<FormatCase> =>
  fc.oneof(
    ...Object.entries(FORMATS)
      .filter(([format]) => only === undefined || only === format)
      .map(([format, { share, cases }]) => ({
        weight: share,
        arbitrary: cases.map((sample): FormatCase => ({ format, sample })),
      })),
  );

/** Returns one case. */
export function makeCase({ seed, path }: CaseId, only?: string): FormatCase {
  const [sample] = fc.sample(casesOf(only), { seed, path, numRuns: 1 });
  if (!sample) throw new Error(`seed ${seed} has no case ${path}`);
  return sample;
}
