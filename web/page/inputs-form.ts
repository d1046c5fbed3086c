/** The form for what a model runs on: a source for each input, the sizes of named dimensions, and the provider. */
import type { TensorInfo } from '../../lib/browser.js';
import { dimNames } from '../../lib/runtime/core/tensors.js';
import { formatShape, isFloatDType } from '../../lib/tensor.js';
import type { InputSource, OpenModel, RunPlan, WebProvider } from '../protocol.js';
import { byId, element, fillSelect } from './dom.js';
import { fileField } from './file-field.js';

/** A form of inputs. */
export interface InputsForm {
  /** @throws Error if a file is wanted and no file was chosen. */
  read(): RunPlan;
  /** Whether the first input is still the image that it was from the start. */
  hasGiven(): boolean;
}

/** Returns the names of the dimensions of an input. */
const namesOf = (info: TensorInfo): string[] =>
  info.shape ? dimNames(info).filter((name) => name !== undefined) : [];

/** One input of the form. */
interface InputRow {
  readonly info: TensorInfo;
  readonly field: HTMLElement;
  source(): InputSource | undefined;
  /** Whether the page makes the tensor, and needs its sizes. */
  isMade(): boolean;
  /** Whether it is still the image that it was from the start. */
  hasGiven(): boolean;
}

/**
 * Fills the form of a model.
 * @param given The image of the first input from the start.
 */
export function fillInputsForm({ inspection }: OpenModel, given: File | undefined): InputsForm {
  const { inputs } = inspection.model;
  const rows = inputs.map((info, index) => rowOf(info, index, index === 0 ? given : undefined));
  byId('inputs', HTMLElement).replaceChildren(...rows.map(({ field }) => field));
  const names = new Set(inputs.flatMap(namesOf));
  const sizes = [...names].map((name, index) => sizeField(name, index));
  const place = byId('sizes', HTMLElement);
  place.replaceChildren(...sizes.map(({ field }) => field));
  // A file has its own sizes.
  const showSizes = () => {
    const needed = new Set(rows.filter((row) => row.isMade()).flatMap(({ info }) => namesOf(info)));
    for (const { name, field } of sizes) field.hidden = !needed.has(name);
    place.hidden = needed.size === 0;
  };
  byId('inputs', HTMLElement).addEventListener('change', showSizes);
  showSizes();
  byId('provider-hint', HTMLElement).textContent =
    'gpu' in navigator
      ? 'WebGPU is used only if it computes a small model right'
      : 'This browser has no WebGPU: WebAssembly runs the model in its place';
  return {
    read: () => ({
      provider: byId('provider', HTMLSelectElement).value as WebProvider,
      sources: Object.fromEntries(
        rows.flatMap((row) => {
          const chosen = row.source();
          return chosen ? [[row.info.name, chosen] as const] : [];
        }),
      ),
      sizes: Object.fromEntries(sizes.map(({ name, read }) => [name, read()])),
    }),
    hasGiven: () => rows[0]?.hasGiven() ?? false,
  };
}

function rowOf(info: TensorInfo, index: number, given: File | undefined): InputRow {
  const { name, dtype, shape, optional } = info;
  const id = `input-${index}`;
  const isFloat = isFloatDType(dtype);
  const source = element('select', { id });
  const image = [['image', 'an image'] as const];
  fillSelect(source, [
    ...(optional ? [['', "the model's default"] as const] : []),
    ...(isFloat ? [['random', 'random numbers'] as const] : []),
    ['value', 'one value'],
    ...(!shape || shape.length === 4 ? image : []),
    ['npy', 'a .npy file'],
  ]);
  const value = element('input', {
    id: `${id}-value`,
    type: 'number',
    step: 'any',
    value: isFloat ? '0' : '1',
  });
  const seed = element('input', { id: `${id}-seed`, type: 'number', step: '1', value: '0' });
  const chooser = element('input', { id: `${id}-file`, type: 'file' });
  const scaling = element('select', { id: `${id}-scaling` });
  fillSelect(scaling, [
    ['unit', 'from 0 to 1'],
    ['imagenet', "by ImageNet's mean and deviation"],
  ]);
  const labelled = (text: string, control: HTMLElement) =>
    element(
      'div',
      { className: 'field' },
      element('label', { htmlFor: control.id, textContent: text }),
      control,
    );
  const parts = {
    random: labelled('Seed', seed),
    value: labelled('Value of every element', value),
    file: labelled('File: drop it here, or choose it', chooser),
    scaling: labelled('Pixels', scaling),
  };
  parts.file.classList.add('drop');
  const type = `${dtype ?? 'not a tensor'} ${shape ? formatShape(shape) : 'of any rank'}`;
  const legend = element('legend', {}, element('strong', { textContent: name }), ` ${type}`);
  const field = element('fieldset', {}, legend, labelled('Filled with', source), ...Object.values(parts));
  const fileInput = fileField(chooser, ([file]) => {
    if (file) source.value = isNpy(file) || !shape || shape.length !== 4 ? 'npy' : 'image';
    showParts();
  });
  const showParts = () => {
    const isFile = source.value === 'image' || source.value === 'npy';
    parts.random.hidden = source.value !== 'random';
    parts.value.hidden = source.value !== 'value';
    parts.file.hidden = !isFile;
    parts.scaling.hidden = source.value !== 'image';
  };
  if (given) {
    fileInput.set([given]);
    source.value = 'image';
  }
  const [first] = fileInput.files();
  source.addEventListener('change', showParts);
  showParts();
  return {
    info,
    field,
    isMade: () => source.value === 'random' || source.value === 'value',
    hasGiven: () =>
      given !== undefined &&
      source.value === 'image' &&
      scaling.value === 'unit' &&
      fileInput.files()[0] === first,
    source() {
      if (source.value === '') return undefined;
      if (source.value === 'random') return { from: 'random', seed: seed.valueAsNumber };
      if (source.value === 'value') return { from: 'value', value: value.valueAsNumber };
      const [chosen] = fileInput.files();
      if (chosen) return { from: 'file', file: chosen, scaling: scaling.value as 'unit' | 'imagenet' };
      throw new Error(`Choose a file for the input ${name}, or fill it with something else.`);
    },
  };
}

const isNpy = ({ name }: File): boolean => /\.npy$/i.test(name);

/** Networks halve the height and width several times; the first dimension is the batch. */
const LARGE = 64;

function sizeField(name: string, index: number) {
  const isBatch = index === 0 || /^(n|b|batch.*)$/i.test(name);
  const input = element('input', {
    id: `size-${index}`,
    type: 'number',
    min: '0',
    step: '1',
    value: String(isBatch ? 1 : LARGE),
  });
  const label = element('label', { htmlFor: input.id, textContent: `Size of ${name}` });
  const field = element('div', { className: 'field' }, label, input);
  return { name, field, read: () => input.valueAsNumber };
}
