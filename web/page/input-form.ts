/** The form for the input and the provider of a run. */
import type { InputSource, WebProvider } from '../protocol.js';
import { byId } from './dom.js';
import { fileField } from './file-field.js';

const provider = byId('provider', HTMLSelectElement);
const origin = byId('input', HTMLSelectElement);
const batch = byId('batch', HTMLInputElement);
const size = byId('size', HTMLInputElement);
const seed = byId('input-seed', HTMLInputElement);
const parts = { random: byId('input-random', HTMLElement), image: byId('input-image', HTMLElement) };
const imageFile = fileField('image-file', () => {
  origin.value = 'image';
  showInput();
});

export function setUpInputForm(): void {
  origin.addEventListener('change', showInput);
  showInput();
}

function showInput(): void {
  parts.random.hidden = origin.value !== 'random';
  parts.image.hidden = origin.value !== 'image';
}

export function chooseDemoImage(): void {
  origin.value = 'demo';
  showInput();
}

export const readProvider = (): WebProvider => provider.value as WebProvider;

/** Reads the input from the form. @throws Error if an image is wanted and none was chosen. */
export function readInput(): InputSource {
  if (origin.value === 'demo') return { from: 'demo' };
  if (origin.value === 'random') {
    return { from: 'random', batch: batch.valueAsNumber, size: size.valueAsNumber, seed: seed.valueAsNumber };
  }
  const image = imageFile.file();
  if (image) return { from: 'image', image };
  throw new Error('Choose an image, or run on random numbers.');
}
