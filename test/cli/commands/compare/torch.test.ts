import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync, writeFileSync } from 'node:fs';
import type { ModelComparison } from '../../../../lib/insight/compare/comparison.js';
import { TORCH_MODULES, withScaledWeight } from '../../../support/torch-modules.js';
import { onnx, useTemporaryFolder } from '../../support.js';

const MODEL = TORCH_MODULES('network-dynamo21.onnx');
const FILE = TORCH_MODULES('network.safetensors');

describe('compare --torch', () => {
  const at = useTemporaryFolder();

  it('compare --torch exits with 0 if every module agrees, and says what is not compared', async () => {
    const { code, stdout, stderr } = await onnx('compare', MODEL, '--torch', FILE);
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout)
      .to.include(`${MODEL} against ${FILE}: 26 values\n`)
      .and.to.include("(actual side: no node of the model comes from this module): 1 value, 'drop'\n")
      .and.to.include('No drift: 26 within the tolerance, 0 beyond, 3 not compared\n');
  });

  it('compare --torch names the first layer that drifts, and exits with 1', async () => {
    writeFileSync(at('model.onnx'), withScaledWeight(readFileSync(MODEL), 'layers.1.bn1.weight', 1.05));
    const { code, stdout } = await onnx(
      'compare',
      at('model.onnx'),
      '--torch',
      FILE,
      '--json',
      at('report.json'),
    );
    expect(code).to.equal(1);
    expect(stdout).to.include("made by:  GroupNormalization 'node_group_norm_3'\n  module:   layers.1.bn1\n");
    const { comparisons } = JSON.parse(readFileSync(at('report.json'), 'utf8')) as {
      comparisons: ModelComparison[];
    };
    expect(comparisons[0]!.first).to.include({ module: 'layers.1.bn1', name: 'group_norm_3' });
    expect(comparisons[0]!.expected).to.deep.equal({ label: FILE });
  });

  it('compare --torch takes values from --map, as pairs and as a file', async () => {
    writeFileSync(at('map.json'), JSON.stringify({ 'halves[0]': 'split_split_0' }));
    const { code, stdout } = await onnx(
      'compare',
      MODEL,
      '--torch',
      FILE,
      '--map',
      'halves[1]=mul',
      '--map',
      at('map.json'),
    );
    expect(code).to.equal(0);
    expect(stdout).to.include('No drift: 28 within the tolerance, 0 beyond, 1 not compared\n');
  });

  it('compare --torch refuses bad options and files in one line that says what to do', async () => {
    const files = { 'list.json': '[1]', 'cut.json': '{"a": "b"', 'number.json': '{"a": 1}' };
    for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text);
    writeFileSync(at('text.safetensors'), '<!doctype html>');
    const torch = ['--torch', FILE];
    const cases: [args: string[], text: string][] = [
      [[MODEL, ...torch, '--map', 'stem.00=conv2d'], "did you mean 'stem.0'?"],
      [[MODEL, ...torch, '--map', 'stem.0=conv2b'], "did you mean 'conv2d'?"],
      [[MODEL, ...torch, '--map', '=x'], '--map takes NAME=VALUE'],
      [[MODEL, ...torch, '--map', 'stem.0=conv2d', '--map', 'stem.0=silu'], "--map gives 'stem.0' twice"],
      [[MODEL, ...torch, '--map', at('missing.json')], 'missing.json'],
      ...Object.keys(files).map((name): [string[], string] => [
        [MODEL, ...torch, '--map', at(name)],
        `${name} must be a JSON object`,
      ]),
      [[MODEL, MODEL, ...torch], '--torch compares one model that runs in one way'],
      [[MODEL, ...torch, '--provider', 'cpu,wasm'], '--torch compares one model that runs in one way'],
      [[MODEL, ...torch, '--random'], 'leave --input, --random and --dim out'],
      [[MODEL, '--map', 'a=b', '--provider', 'cpu,wasm'], '--map needs --torch'],
      [[MODEL, ...torch, '--json', FILE], FILE],
      [[MODEL, '--torch', at('text.safetensors')], 'text.safetensors'],
      [[MODEL, '--torch', 'test/samples/checkpoint.safetensors'], 'the program of docs/compare.md'],
      [
        [TORCH_MODULES('folded-dynamo18.onnx'), ...torch],
        'the model has the modules bn1, act1, block, block.1',
      ],
    ];
    for (const [args, text] of cases) {
      const { code, stderr } = await onnx('compare', ...args);
      expect([code, stderr.includes(text) ? text : stderr]).to.deep.equal([2, text]);
    }
  });
});
