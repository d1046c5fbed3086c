/** Models to fuzz: models that exporters write, with edits; graphs of known operators; messages of any fields. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { LOWERING_NAMES } from '../../lib/lowering/types.js';
import { exportedModel } from '../support/exported-model.js';
import { groupNormModel, randomTensor } from '../support/group-norm.js';
import { type Damage, damaged, damages, edited, edits, messageOf } from './edits.js';
import { graphModels } from './graphs.js';
import { type Message, readMessage, withoutRemarks, writeMessage } from './messages.js';

const SAMPLES = new URL('../samples/', import.meta.url);

/** GroupNorm in every form that the passes know, as small models. */
function baseModels(): Message[] {
  const files = readdirSync(SAMPLES, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.onnx'),
  );
  const norm = {
    x: randomTensor('float32', [2, 8, 4, 4]),
    scale: randomTensor('float32', [8], { stream: 'scale' }),
    bias: randomTensor('float32', [8], { stream: 'bias' }),
    numGroups: 2,
    eps: 1e-5,
  };
  return [
    ...files.sort().map((name) => new Uint8Array(readFileSync(new URL(name, SAMPLES)))),
    ...LOWERING_NAMES.map((lowering) => groupNormModel(norm, { lowering, opset: 21 })),
    exportedModel(norm, 17),
  ]
    .filter((bytes) => bytes.length < 20_000)
    .map((bytes) => withoutRemarks(readMessage('Model', bytes)));
}

const BASES = baseModels();

/** A model that loads everywhere. */
export const RIGHT_MODEL = writeMessage(BASES.at(-1)!);

/** Most models should load: a third has no edit, a third has one. */
const someEdits = fc.oneof(
  fc.constant([]),
  edits.map((edit) => [edit]),
  fc.array(edits, { minLength: 2, maxLength: 6 }),
);
/** Most models stay readable: damage to the bytes comes in one of ten. */
const someDamage: fc.Arbitrary<readonly Damage[]> = fc.oneof(
  { weight: 9, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(damages, { minLength: 1, maxLength: 2 }) },
);

const trees: fc.Arbitrary<Message> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...BASES) },
  { weight: 6, arbitrary: graphModels },
  { weight: 1, arbitrary: messageOf('Model', 4) },
);

/** The bytes of models. */
export const models: fc.Arbitrary<Uint8Array> = fc
  .tuple(trees, someEdits, someDamage)
  .map(([tree, list, damage]) => damaged(writeMessage(edited(tree, list)), damage));

/** The bytes of TensorProto files, from right ones of every dtype and from any fields. */
export const tensorFiles: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...baseTensors()) }, messageOf('Tensor', 1)),
    someEdits,
    someDamage,
  )
  .map(([tree, list, damage]) => damaged(writeMessage(edited(tree, list)), damage));

function baseTensors(): Message[] {
  const folder = new URL('tensors/', SAMPLES);
  return readdirSync(folder)
    .sort()
    .map((name) => readMessage('Tensor', new Uint8Array(readFileSync(new URL(name, folder)))));
}
