/** Decodes images with the browser. */
import { ImageError } from '../../lib/browser.js';
import { fromRgba, type Image } from '../../lib/images/browser.js';

/** Larger images would take too much time and memory in a page. */
const LONGEST_SIDE = 1024;

/**
 * Decodes an image without applying its colour profile, and scales it down to at most 1,024 pixels per side.
 * @throws ImageError `IMAGE_INVALID` if the browser cannot read it.
 */
export async function decodeImage(blob: Blob): Promise<Image> {
  const bitmap = await decode(blob);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(width!, height!).getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0, width!, height!);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width!, height!);
  return fromRgba({ width: width!, height: height!, data });
}

async function decode(blob: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  } catch (cause) {
    const name = blob instanceof File ? `'${blob.name}'` : 'the file';
    throw new ImageError(
      'IMAGE_INVALID',
      `this browser cannot read ${name} as an image; try a PNG or a JPEG`,
      {
        cause,
      },
    );
  }
}
