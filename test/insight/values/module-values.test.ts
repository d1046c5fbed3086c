import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { ModelRun } from '../../../lib/insight/values/intermediate-values.js';
import type { ActivationType } from '../../../lib/insight/values/activations.js';
import { findModuleValues } from '../../../lib/insight/values/module-values.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { compareTensors, defaultTolerance } from '../../../lib/parity/compare.js';
import { NODE } from '../../../lib/runtime/node.js';
import { decodeSafetensors } from '../../../lib/weights/safetensors.js';
import { conv } from '../../../graphs/layers/convolution.js';
import { groupNorm } from '../../../graphs/layers/normalization.js';
import { LOWERING_NAMES } from '../../../lib/lowering/types.js';
import { initializeWeights } from '../../../lib/weights/initialize.js';

const FOLDER = 'test/samples/modules';
const readModel = (name: string) => readFileSync(`${FOLDER}/${name}.onnx`);

function readActivations(name: string) {
  const { tensors } = decodeSafetensors(readFileSync(`${FOLDER}/${name}.safetensors`));
  const isInput = (key: string) => key === 'input.x';
  const activations = new Map([...tensors].filter(([key]) => !isInput(key)));
  return { x: tensors.get('input.x')!, activations };
}

/** Returns the names of the activations whose values a run computes otherwise. */
async function differing(
  name: string,
  activations: ReadonlyMap<string, readonly string[]>,
  file: ReturnType<typeof readActivations>,
) {
  const run = await ModelRun.open(NODE, readModel(name), {
    feeds: { x: file.x },
    session: { providers: ['cpu'] },
  });
  const differ: string[] = [];
  try {
    for await (const tensors of run.slices([...activations.keys()], Infinity))
      for (const [value, actual] of tensors)
        for (const activation of activations.get(value)!) {
          const expected = file.activations.get(activation)!;
          if (!compareTensors(activation, actual, expected, defaultTolerance('float32')).passed)
            differ.push(activation);
        }
  } finally {
    await run.dispose();
  }
  return differ;
}

describe('findModuleValues', () => {
  for (const form of ['torchscript13', 'torchscript17', 'dynamo18', 'dynamo21', 'dynamo22']) {
    it(`findModuleValues finds what each module of PyTorch returned, in an export by ${form}`, async () => {
      const file = readActivations('network');
      const found = findModuleValues(Model.decode(readModel(`network-${form}`)), file.activations);
      expect([...found.unmatched]).to.deep.equal([
        ['drop', 'no node of the model comes from this module'],
        ['halves[0]', "the module has several outputs: map one of them: 'halves[0]=VALUE'"],
        ['halves[1]', "the module has several outputs: map one of them: 'halves[1]=VALUE'"],
      ]);
      expect(found.missing).to.deep.equal([]);
      expect([...found.activations.values()].flat().length).to.equal(file.activations.size - 3);
      expect(await differing(`network-${form}`, found.activations, file)).to.deep.equal([]);
    });
  }

  it('findModuleValues takes a BatchNorm that is folded into a convolution for what the exporter calls it', () => {
    const { activations } = readActivations('folded');
    const of = (form: string) => findModuleValues(Model.decode(readModel(`folded-${form}`)), activations);
    const [dynamo, torchscript] = [of('dynamo18'), of('torchscript17')];
    expect([...dynamo.unmatched.keys()]).to.deep.equal(['block.0', 'conv1']);
    expect(dynamo.activations.get('getitem')).to.deep.equal(['bn1']);
    expect([...torchscript.unmatched.keys()]).to.deep.equal(['block.1', 'bn1']);
  });

  it('findModuleValues reads the names of models that this library builds, however GroupNorm is written', () => {
    const g = new GraphBuilder('test');
    const block = g.scope('layer1.0');
    const x = conv(block.scope('conv1'), g.input('x', 'float32', ['N', 3, 'H', 'W']), {
      outChannels: 4,
      kernelSize: 3,
    });
    g.output('y', op.relu(block, groupNorm(block.scope('bn1'), x, { numGroups: 2 })));
    const graph = g.build();
    const activations = new Map(
      ['layer1.0.conv1', 'layer1.0.bn1', 'layer1.0', 'output'].map((name) => [
        name,
        { dtype: 'float32', dims: [1, 4, 6, 6] } as const,
      ]),
    );
    for (const lowering of LOWERING_NAMES) {
      const model = Model.decode(encodeModel(graph, initializeWeights(graph, 1), { lowering }));
      expect([...findModuleValues(model, activations).activations]).to.deep.equal([
        ['/layer1/0/conv1/Conv_output_0', ['layer1.0.conv1']],
        ['/layer1/0/bn1/GroupNormalization_output_0', ['layer1.0.bn1']],
        ['y', ['layer1.0', 'output']],
      ]);
    }
  });

  it('findModuleValues says why no value holds an activation', () => {
    const { activations } = readActivations('network');
    const type = (...dims: number[]) => ({ dtype: 'float32', dims }) as const;
    const found = findModuleValues(
      Model.decode(readModel('network-dynamo21')),
      new Map<string, ActivationType>([
        ['stem.0', type(2, 4, 4, 5)],
        ['stem.1', { dtype: 'int64', dims: [2, 4, 4, 4] }],
        ['layers.0.conv1@2', type(2, 4, 4, 4)],
        ['layers.0.conv1@99999999999999999999', type(2, 4, 4, 4)],
        ['nowhere', type(1)],
        ['output', type(2, 5)],
        ['output[7]', type(2, 5)],
        ['gate', activations.get('gate')!],
      ]),
    );
    expect(Object.fromEntries(found.unmatched)).to.deep.equal({
      'stem.0': 'no result of the module is float32 [2, 4, 4, 5]',
      'stem.1': 'no result of the module is int64 [2, 4, 4, 4]',
      'layers.0.conv1@2': 'the nodes of the module do not show 100000000000000000000 calls',
      'layers.0.conv1@99999999999999999999':
        'the nodes of the module do not show 100000000000000000000 calls',
      nowhere: 'no node of the model comes from this module',
      output: "the model has 2 outputs: map one of them: 'output=VALUE'",
      'output[7]': 'the model has 2 outputs',
    });
    // A file with the last call alone.
    expect([...found.activations]).to.deep.equal([['silu_2', ['gate']]]);
    expect(found.missing).to.include.members(['layers.0', 'layers.1.bn2', 'heads.a']);
  });
});
