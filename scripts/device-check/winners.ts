/** Which way is best for a shape: the fastest of those that are right, where it is faster beyond doubt. */
import { formatRatio, type Quartiles } from '../../bench/statistics.js';
import type { Timing, Winner } from './report.js';

/**
 * Of the ways that stay within what `assert_close` allows for every input the fastest one; but the default stays unless
 * that is faster in three rounds out of four, or the default itself is not right.
 */
export function chooseWinners(timings: readonly Timing[], defaultGroupNorm: string): Winner[] {
  const keys = [...new Set(timings.map(keyOf))];
  return keys.map((key) =>
    chooseWinner(
      timings.filter((one) => keyOf(one) === key),
      defaultGroupNorm,
    ),
  );
}

const keyOf = ({ shape, dtype }: Timing): string => `${shape.join('×')} ${dtype}`;

function chooseWinner(ways: readonly Timing[], defaultGroupNorm: string): Winner {
  const { shape, dtype } = ways[0]!;
  const right = ways.filter(isTimed).filter(isAccurate);
  const [fastest] = right.sort((a, b) => a.ms.median - b.ms.median);
  if (!fastest)
    return { shape, dtype, groupNorm: null, because: 'none is within the tolerance for every input' };
  if (!right.some(({ groupNorm }) => groupNorm === defaultGroupNorm)) {
    const because = `the fastest that is right: ${defaultGroupNorm}, the default, is not, or did not run`;
    return { shape, dtype, groupNorm: fastest.groupNorm, because };
  }
  if (fastest.groupNorm === defaultGroupNorm) {
    return { shape, dtype, groupNorm: defaultGroupNorm, because: 'the fastest of those that are right' };
  }
  if (!fastest.speedup) {
    const because = `${fastest.groupNorm} could not be timed beside it`;
    return { shape, dtype, groupNorm: defaultGroupNorm, because };
  }
  const gain = `${fastest.groupNorm}: ${formatRatio(fastest.speedup)} as fast as ${defaultGroupNorm}`;
  return fastest.speedup.low > 1
    ? { shape, dtype, groupNorm: fastest.groupNorm, because: gain }
    : { shape, dtype, groupNorm: defaultGroupNorm, because: `${gain}, which is no certain gain` };
}

const isTimed = (timing: Timing): timing is Timing & { readonly ms: Quartiles } => timing.ms !== null;

const isAccurate = ({ errors }: Timing): boolean =>
  errors.every(({ excess }) => excess !== null && excess <= 1);
