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
  /** The file of an input, if it has a file. */
  fileOf(name: string): File | undefined;
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
  file(): File | undefined;
}

/**
 * Fills the form of a model.
 * @param files Files that inputs have from the start, by the names of the inputs.
 */
export function fillInputsForm(
  { inspection }: OpenModel,
  files: Readonly<Record<string, File>> = {},
): InputsForm {
  const { inputs } = inspection.model;
  const rows = inputs.map((info, index) => rowOf(info, index, files[info.name]));
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
    fileOf: (name) => rows.find(({ info }) => info.name === name)?.file(),
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
  let preset = given;
  const field_ = fileField(chooser, ([file]) => {
    preset = undefined;
    if (file) source.value = isNpy(file) || !shape || shape.length !== 4 ? 'npy' : 'image';
    showParts();
  });
  const note = element('p', { className: 'note' });
  parts.file.append(note);
  const file = () => preset ?? field_.files()[0];
  const showParts = () => {
    const isFile = source.value === 'image' || source.value === 'npy';
    parts.random.hidden = source.value !== 'random';
    parts.value.hidden = source.value !== 'value';
    parts.file.hidden = !isFile;
    parts.scaling.hidden = source.value !== 'image';
    note.textContent = preset ? `Now: ${preset.name}` : '';
  };
  if (given) source.value = 'image';
  source.addEventListener('change', showParts);
  showParts();
  return {
    info,
    field,
    isMade: () => source.value === 'random' || source.value === 'value',
    file: () => (parts.file.hidden ? undefined : file()),
    source() {
      if (source.value === '') return undefined;
      if (source.value === 'random') return { from: 'random', seed: seed.valueAsNumber };
      if (source.value === 'value') return { from: 'value', value: value.valueAsNumber };
      const chosen = file();
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
