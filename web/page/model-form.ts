/** The form for a model: its network, options, weights and lowering. */
import {
  DEFAULT_OPSET,
  defaultLowering,
  getGraph,
  GRAPHS,
  LOWERING_NAMES,
  MAX_OPSET,
  MIN_OPSET,
} from '../../lib/browser.js';
import type { LoweringName } from '../../lib/lowering/types.js';
import { FLOAT_DTYPES, type FloatDType } from '../../lib/tensor.js';
import type { Manifest, ModelSpec, WeightsSource } from '../protocol.js';
import { byId, fillSelect } from './dom.js';
import { fileField } from './file-field.js';
import { optionFields, readOptions } from './option-fields.js';

const graph = byId('graph', HTMLSelectElement);
const description = byId('graph-description', HTMLElement);
const options = byId('options', HTMLElement);
const opset = byId('opset', HTMLSelectElement);
const lowering = byId('lowering', HTMLSelectElement);
const dtype = byId('dtype', HTMLSelectElement);
const seed = byId('seed', HTMLInputElement);
const prefix = byId('prefix', HTMLInputElement);
const origin = byId('weights', HTMLSelectElement);
const parts = {
  seed: byId('weights-seed', HTMLElement),
  file: byId('weights-file-part', HTMLElement),
};
const weightsFile = fileField('weights-file', () => {
  origin.value = 'file';
  showWeights();
});

/** Fills the selects, and shows the fields that fit the choices. */
export function setUpModelForm(): void {
  fillSelect(
    graph,
    [...GRAPHS.keys()].map((name) => [name, name]),
  );
  const opsets = Array.from({ length: MAX_OPSET - MIN_OPSET + 1 }, (_, i) => String(MIN_OPSET + i));
  fillSelect(
    opset,
    opsets.map((value) => [value, value]),
  );
  fillSelect(lowering, [['', 'default'], ...LOWERING_NAMES.map((name) => [name, name] as const)]);
  fillSelect(
    dtype,
    FLOAT_DTYPES.map((name) => [name, name]),
  );
  opset.value = String(DEFAULT_OPSET);
  graph.addEventListener('change', () => showGraph());
  origin.addEventListener('change', showWeights);
  showGraph();
  showWeights();
}

function showGraph(values?: Readonly<Record<string, number | boolean>>): void {
  const definition = getGraph(graph.value);
  description.textContent = definition.description;
  options.replaceChildren(...optionFields(definition, values));
}

function showWeights(): void {
  parts.seed.hidden = origin.value !== 'seed';
  parts.file.hidden = origin.value !== 'file';
}

/** Sets the form to the demo's network and its trained weights. */
export function chooseDemo({ graph: name, options: values }: Manifest['demo']): void {
  graph.value = name;
  showGraph(values);
  origin.value = 'demo';
  showWeights();
  dtype.value = 'float32';
  opset.value = String(DEFAULT_OPSET);
  lowering.value = '';
}

/** Reads the model from the form. @throws Error if a state_dict is wanted and no file was chosen. */
export function readSpec(): ModelSpec {
  const target = Number(opset.value);
  return {
    graph: graph.value,
    options: readOptions(options),
    dtype: dtype.value as FloatDType,
    opset: target,
    lowering: (lowering.value || defaultLowering(target)) as LoweringName,
    weights: readWeights(),
  };
}

function readWeights(): WeightsSource {
  if (origin.value === 'demo') return { from: 'demo' };
  if (origin.value === 'seed') return { from: 'seed', seed: seed.valueAsNumber };
  const file = weightsFile.file();
  if (file) return { from: 'file', file, prefix: prefix.value.trim() };
  throw new Error('Choose a safetensors file with the state_dict, or other weights.');
}
