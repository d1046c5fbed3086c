/** Images of the visitor's, decoded by the browser. */
import { ImageError } from '../../lib/browser.js';
import { fromRgba, type Image } from '../../lib/images/browser.js';

/** More pixels than a network of this kind gets through in a page's patience and memory. */
const LONGEST_SIDE = 1024;

/**
 * An image's pixels as they are in the file: no colour profile is applied. What is larger than 1,024 pixels is made
 * smaller.
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
      `${name} is not an image that this browser can read: try a PNG or a JPEG`,
      {
        cause,
      },
    );
  }
}
