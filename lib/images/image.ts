/** Pixels, row by row from the top left. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** 1: grey; 3: red, green, blue. */
  readonly channels: 1 | 3;
  /** `channels` samples a pixel. */
  readonly samples: Uint8Array | Uint16Array;
  /** The sample of full intensity: 255 for 8 bits, 65535 for 16. */
  readonly max: number;
}
