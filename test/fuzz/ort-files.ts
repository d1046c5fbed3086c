/** Models in ONNX Runtime's own format, with damage to their bytes. onnxruntime-node writes the right ones. */
import fc from 'fast-check';
import { convertModel } from '../../lib/rewrite/convert.js';
import { toOrtFormat } from '../support/ort-format.js';
import { twoHeads } from '../support/two-heads.js';
import { damaged, damages } from './edits.js';
import { RIGHT_MODEL } from './models.js';

const SOURCES = await Promise.all([convertModel(RIGHT_MODEL).bytes, twoHeads()].map(toOrtFormat));

export const ortFiles: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom(...SOURCES), fc.array(damages, { maxLength: 3 }))
  .map(([source, list]) => damaged(source, list));
