/** Pixels, row by row from the top left. */
export interface Image {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1: grey; 3: red, green, blue. */
  readonly channels: 1 | 3;
  /** `channels` samples a pixel, 0 to `max`. */
  readonly samples: Uint8Array | Uint16Array;
  /** The sample of full intensity: 255 for 8 bits, 65535 for 16. */
  readonly max: number;
}
