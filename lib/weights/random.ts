/**
 * A counter-based generator: the number at a position depends on the seed, the stream and the position alone,
 * so that another language can make the same numbers in any order. The mixer is MurmurHash3's 32-bit finaliser
 * (Appleby 2011), applied once to each part.
 */
export class Random {
  readonly #key: number;

  /** @param seed An integer. @param stream What the numbers are for, for example a parameter's name. */
  constructor(seed: number, stream: string) {
    let key = mix(seed >>> 0);
    for (const byte of new TextEncoder().encode(stream)) key = mix(key ^ byte);
    this.#key = key;
  }

  /** Uniform in [0, 1), a multiple of 2⁻³². */
  uniform(position: number): number {
    return mix(this.#key ^ mix(position >>> 0)) / 2 ** 32;
  }

  /** Standard normal, by Box & Muller's transform of positions 2·position and 2·position + 1. */
  normal(position: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform(2 * position)));
    return radius * Math.cos(2 * Math.PI * this.uniform(2 * position + 1));
  }
}

function mix(value: number): number {
  let h = (value + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
