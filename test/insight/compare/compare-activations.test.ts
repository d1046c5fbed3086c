import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync, writeFileSync } from 'node:fs';
import { FileError, OptionError, ParityError, WeightsError } from '../../../lib/errors.js';
import type { CompareActivationsOptions } from '../../../lib/insight/compare/compare-activations.js';
import { driftStart } from '../../../lib/insight/compare/drift.js';
import { compareActivations } from '../../../lib/insight/node.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';
import { decodeSafetensors, encodeSafetensors } from '../../../lib/weights/safetensors.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';
import { TORCH_MODULES, withScaledWeight } from '../../support/torch-modules.js';

describe('compareActivations', () => {
  const at = temporaryFolder();
  const compare = (model: string, activations: string, options?: CompareActivationsOptions) =>
    compareActivations({ model: TORCH_MODULES(`${model}.onnx`) }, activations, options);
  const NETWORK = TORCH_MODULES('network.safetensors');

  /** Writes the activations of the network with a change. */
  function changed(change: (tensors: Map<string, TensorData>) => void): string {
    const { tensors } = decodeSafetensors(readFileSync(NETWORK));
    const own = new Map(tensors);
    change(own);
    writeFileSync(at('changed.safetensors'), Buffer.concat(encodeSafetensors({ tensors: own })));
    return at('changed.safetensors');
  }

  it('compareActivations passes an export of the network, and names what it does not compare', async () => {
    const result = await compare('network-dynamo21', NETWORK);
    expect(result.passed).to.equal(true);
    expect(result.counts).to.deep.include({ within: 26, drifts: 0, type: 0 });
    expect(result.values.map(({ module }) => module)).to.include.members([
      'layers.0.relu',
      'layers.0.relu@2',
      'alone[0]',
    ]);
    expect(result.notCompared.map(({ name, side }) => [name, side])).to.deep.equal([
      ['drop', 'actual'],
      ['halves[0]', 'actual'],
      ['halves[1]', 'actual'],
    ]);
  });

  // The weight as each exporter names it.
  for (const [form, weight] of [
    ['torchscript17', 'onnx::Mul_142'],
    ['dynamo21', 'layers.1.bn1.weight'],
  ] as const) {
    it(`compareActivations finds the layer whose weight has one other element, in an export by ${form}`, async () => {
      const model = withScaledWeight(readFileSync(TORCH_MODULES(`network-${form}.onnx`)), weight, 1.05);
      const { passed, first, values } = await compareActivations({ model }, NETWORK);
      expect(passed).to.equal(false);
      expect(first!.module).to.equal('layers.1.bn1');
      // One channel of four.
      expect(first!.difference!.mismatched).to.be.within(1, 32);
      expect(first!.difference!.worstIndex![1]).to.equal(0);
      expect(driftStart(values)).to.equal(first);
    });
  }

  it('compareActivations knows a BatchNorm that the exporter folded into a convolution', async () => {
    const result = await compare('folded-torchscript17', TORCH_MODULES('folded.safetensors'));
    expect(result.passed).to.equal(true);
    expect(result.values.map(({ module }) => module)).to.deep.equal(['bn1', 'act1', 'block.1', 'output']);
    expect(result.notCompared.map(({ name, reason }) => `${name}: ${reason}`)).to.deep.equal([
      "conv1: its node returns what 'bn1' returned: the exporter merged the two",
      "block.0: its node returns what 'block.1' returned: the exporter merged the two",
    ]);
    const map = new Map([['conv1', '/conv1/Conv_output_0']]);
    const mapped = await compare('folded-torchscript17', TORCH_MODULES('folded.safetensors'), { map });
    expect(mapped.first!.module).to.equal('conv1');
  });

  it('compareActivations takes values and inputs of other names from a map', async () => {
    const activations = changed((tensors) => {
      tensors.set('input.image', tensors.get('input.x')!);
      tensors.delete('input.x');
    });
    const missing = await rejection(compare('network-dynamo21', activations));
    expect(missing).to.be.instanceOf(ParityError).with.property('code', 'INPUTS_DIFFER');
    expect((missing as Error).message).to.include("'input.image=x'");
    const map = new Map([
      ['input.image', 'x'],
      ['halves[0]', 'split_split_0'],
      ['halves[1]', 'mul'],
    ]);
    const { passed, values } = await compare('network-dynamo21', activations, { map });
    expect(passed).to.equal(true);
    expect(values.map(({ module }) => module)).to.include.members(['halves[0]', 'halves[1]']);
  });

  it('compareActivations says that a tensor has another shape than the value, or is not finite', async () => {
    const activations = changed((tensors) => {
      const gate = tensors.get('gate')!;
      const data = Float32Array.from(gate.data as Float32Array).fill(NaN, 0, 2);
      tensors.set('gate', tensor('float32', gate.dims, data));
      tensors.set('stem.0', tensor('float32', [1, 3], new Float32Array(3)));
    });
    const { passed, first, notCompared } = await compare('network-dynamo21', activations);
    expect(passed).to.equal(false);
    expect(first).to.deep.include({
      module: 'gate',
      verdict: 'drifts',
      notFinite: { expected: 2, actual: 0 },
    });
    expect(notCompared.find(({ name }) => name === 'stem.0')!.reason).to.equal(
      'no result of the module is float32 [1, 3]',
    );
    const mapped = await compare('network-dynamo21', activations, { map: new Map([['stem.0', 'conv2d']]) });
    expect(mapped.first).to.deep.include({ module: 'stem.0', verdict: 'type', expectedDims: [1, 3] });
  });

  it('compareActivations refuses bad input with errors that say what to do', async () => {
    writeFileSync(at('text.safetensors'), '<!doctype html>');
    const onlyInput = at('input.safetensors');
    const x = tensor('float32', [2, 3, 6, 6], new Float32Array(216));
    writeFileSync(
      onlyInput,
      Buffer.concat(
        encodeSafetensors({
          tensors: [
            ['input.x', x],
            ['fc.weight', x],
          ],
        }),
      ),
    );
    const map = (name: string, value: string) => ({ map: new Map([[name, value]]) });
    const errors: [
      file: string,
      options: CompareActivationsOptions | undefined,
      type: unknown,
      code: string,
      text: string,
    ][] = [
      [at('missing.safetensors'), undefined, FileError, 'FILE_NOT_FOUND', 'missing.safetensors'],
      [at('text.safetensors'), undefined, WeightsError, 'SAFETENSORS_INVALID', 'text.safetensors'],
      ['test/samples/checkpoint.safetensors', undefined, ParityError, 'INPUTS_DIFFER', "'input.x'"],
      [onlyInput, undefined, ParityError, 'NO_ACTIVATIONS', 'the file has fc.weight'],
      [NETWORK, map('stem.00', 'conv2d'), OptionError, 'INVALID_OPTION', "did you mean 'stem.0'?"],
      [NETWORK, map('stem.0', 'conv2b'), OptionError, 'INVALID_OPTION', "did you mean 'conv2d'?"],
      [NETWORK, { maps: 1 } as object, OptionError, 'UNKNOWN_OPTION', 'maps'],
    ];
    for (const [file, options, type, code, text] of errors) {
      const error = await rejection(compare('network-dynamo21', file, options));
      expect(error).to.be.instanceOf(type).with.property('code', code);
      expect((error as Error).message).to.include(text);
    }
  });

  it('docs/compare.md has the program that the samples were saved with, in at most 20 lines', () => {
    const program = readFileSync('scripts/samples/save_activations.py', 'utf8').trim();
    expect(readFileSync('docs/compare.md', 'utf8')).to.include(`\`\`\`python\n${program}\n\`\`\`\n`);
    expect(program.split('\n').filter((line) => line !== '').length).to.be.at.most(20);
  });
});
