/** The form that builds a network of the registry. */
import {
  DEFAULT_OPSET,
  defaultLowering,
  getGraph,
  GRAPHS,
  LOWERING_NAMES,
  type LoweringName,
  MAX_OPSET,
  MIN_OPSET,
} from '../../lib/browser.js';
import { FLOAT_DTYPES, type FloatDType } from '../../lib/tensor.js';
import type { NetworkSpec, WeightsSource } from '../protocol.js';
import { byId, fillSelect } from './dom.js';
import { fileField } from './file-field.js';
import { optionFields, type OptionFields } from './option-fields.js';

/** The network of the demo is first. */
const FIRST = 'unet';

/** Sets up the form. @returns A function that reads it. */
export function setUpBuildForm(): () => NetworkSpec {
  const graph = byId('graph', HTMLSelectElement);
  const opset = byId('opset', HTMLSelectElement);
  const lowering = byId('lowering', HTMLSelectElement);
  const dtype = byId('dtype', HTMLSelectElement);
  const weights = byId('weights', HTMLSelectElement);
  const prefix = byId('prefix', HTMLInputElement);
  const weightsFile = fileField(byId('weights-file', HTMLInputElement), () => {
    weights.value = 'file';
    showWeights();
  });
  let options: OptionFields;

  const names = [...GRAPHS.keys()].sort((a, b) => Number(b === FIRST) - Number(a === FIRST));
  const opsets = Array.from({ length: MAX_OPSET - MIN_OPSET + 1 }, (_, i) => String(MIN_OPSET + i));
  const same = (values: readonly string[]) => values.map((value) => [value, value] as const);
  fillSelect(graph, same(names));
  fillSelect(opset, same(opsets));
  fillSelect(lowering, [['', 'default'], ...same(LOWERING_NAMES)]);
  fillSelect(dtype, same(FLOAT_DTYPES));
  opset.value = String(DEFAULT_OPSET);
  dtype.value = 'float32';
  graph.addEventListener('change', showGraph);
  weights.addEventListener('change', showWeights);
  showGraph();
  showWeights();

  /** Shows the options of the network. Weights of another network do not fit it. */
  function showGraph(): void {
    const definition = getGraph(graph.value);
    byId('graph-description', HTMLElement).textContent = definition.description;
    options = optionFields(definition);
    byId('options', HTMLElement).replaceChildren(...options.fields);
    weightsFile.set([]);
    weights.value = 'seed';
    showWeights();
  }

  function showWeights(): void {
    byId('weights-seed', HTMLElement).hidden = weights.value !== 'seed';
    byId('weights-file-part', HTMLElement).hidden = weights.value !== 'file';
  }

  function readWeights(): WeightsSource {
    if (weights.value === 'seed') return { from: 'seed', seed: byId('seed', HTMLInputElement).valueAsNumber };
    const [file] = weightsFile.files();
    if (file) return { from: 'file', file, prefix: prefix.value.trim() };
    throw new Error('Choose a .safetensors file with the state_dict, or weights from random numbers.');
  }

  return () => ({
    graph: graph.value,
    options: options.read(),
    dtype: dtype.value as FloatDType,
    opset: Number(opset.value),
    lowering: (lowering.value || defaultLowering(Number(opset.value))) as LoweringName,
    weights: readWeights(),
  });
}
