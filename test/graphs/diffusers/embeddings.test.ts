import { timesteps } from '../../../graphs/diffusers/embeddings.js';
import { tensor } from '../../../lib/tensor.js';
import { describe } from 'mocha';
import { filledBy, itComputes } from '../../graph/runs.js';

const STEPS = [0, 1, 37];

/** Source: `get_timestep_embedding` of diffusers, in float64. */
const wave = (
  step: number,
  channel: number,
  half: number,
  freqShift: number,
  cosineFirst: boolean,
): number => {
  if (channel === 2 * half) return 0;
  const angle = step * 10_000 ** (-(channel % half) / (half - freqShift));
  return channel < half === cosineFirst ? Math.cos(angle) : Math.sin(angle);
};

describe('timesteps', () => {
  for (const [channels, flipSinToCos, freqShift] of [
    [8, true, 0],
    [8, false, 1],
    [7, true, 0.5],
  ] as const) {
    itComputes(
      `timesteps gives waves in ${channels} channels, flipSinToCos ${flipSinToCos}, freqShift ${freqShift}`,
      {
        inputs: [tensor('int64', [3], BigInt64Array.from(STEPS, BigInt))],
        call: (g, [t]) => timesteps(g, t!, { channels, flipSinToCos, freqShift, dtype: 'float32' }),
        expected: () => [
          filledBy([3, channels], (i, j) => wave(STEPS[i]!, j, channels >> 1, freqShift, flipSinToCos)),
        ],
        dtypes: ['float32'],
        declared: [['N']],
      },
    );
  }
});
