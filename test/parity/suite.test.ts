import { basename } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { loweringsAt } from '../../lib/lowering/choose.js';
import type { CheckSpec } from '../../lib/parity/check.js';
import type { Fixture } from '../../lib/parity/fixture.js';
import { checkFixture, readFixture } from '../../lib/parity/node.js';
import { describeFailure } from '../../lib/parity/report.js';
import { chooseBackend } from '../../lib/runtime/node.js';
import type { DType } from '../../lib/tensor.js';
import { fixturePath, parityFixtures } from '../support/fixtures.js';
import { describeNative } from '../support/native.js';

const OPSETS = [13, 17, 18, 20, 21, 25];

/** onnxruntime-node, which `cpu` is with a rewrite named, and the native kernel. */
const ENGINES = {
  cpu: { provider: 'cpu', groupNorm: 'reduce-mean', describe },
  native: { provider: 'native', groupNorm: undefined, describe: describeNative },
} as const;
/** The same models on WebAssembly: at the one opset, because its operators are those of `cpu`. */
const WASM = { provider: 'wasm', groupNorm: undefined, describe } as const;
type Engine = (typeof ENGINES)[keyof typeof ENGINES] | typeof WASM;
const on = ({ provider, groupNorm }: Engine) => ({ provider, groupNorm });

for (const engine of Object.values(ENGINES)) {
  engine.describe(`group-norm on ${engine.provider} gives what PyTorch and ONNX give`, () => {
    for (const file of [...parityFixtures('group-norm'), ...parityFixtures('onnx')]) {
      for (const opset of OPSETS) {
        for (const lowering of loweringsAt(opset)) {
          it(`${basename(file, '.safetensors')}: ${lowering} at opset ${opset}`, () =>
            expectParity(file, { lowering, opset, ...on(engine) }));
        }
      }
      for (const lowering of loweringsAt(21)) {
        it(`${basename(file, '.safetensors')}: ${lowering} with fixed shapes`, () =>
          expectParity(file, { lowering, opset: 21, ...on(engine), staticShapes: true }));
      }
    }
  });
}

describe('group-norm on wasm gives what PyTorch and ONNX give', () => {
  for (const file of [...parityFixtures('group-norm'), ...parityFixtures('onnx')]) {
    for (const lowering of loweringsAt(21)) {
      it(`${basename(file, '.safetensors')}: ${lowering} at opset 21`, () =>
        expectParity(file, { lowering, opset: 21, ...on(WASM) }));
    }
  }
});

/** Where ONNX Runtime's inlined body can be trusted: no large means, no empty batch, a dtype that it has. */
const WELL_CONDITIONED = [
  'float64',
  'initial',
  'net-unet',
  'torch-numeric-1x8x8x8x9',
  'torch-nwc-4x20x20',
  'gamma-negative',
];

describe('the operator in the file means what PyTorch computes, not only what sessions make of it', () => {
  for (const name of WELL_CONDITIONED) {
    for (const opset of [18, 21, 25]) {
      it(`${name}: ONNX Runtime's inlined operator at opset ${opset}`, () =>
        expectParity(fixturePath('group-norm', name), {
          lowering: 'op',
          groupNorm: 'op',
          opset,
          provider: 'cpu',
        }));
    }
  }
});

/** Networks: the lowerings differ in one operator, which `group-norm` tests at every opset. */
const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];

for (const engine of Object.values(ENGINES)) {
  engine.describe(`networks on ${engine.provider} give what PyTorch gives`, () => {
    for (const network of NETWORKS) {
      for (const file of parityFixtures(network)) {
        for (const opset of [17, 21]) {
          for (const lowering of loweringsAt(opset)) {
            it(`${network} ${basename(file, '.safetensors')}: ${lowering} at opset ${opset}`, () =>
              expectParity(file, { lowering, opset, ...on(engine) })).timeout(60_000);
          }
        }
      }
    }
  });
}

describe('networks on wasm give what PyTorch gives', () => {
  for (const network of NETWORKS) {
    for (const file of parityFixtures(network)) {
      it(`${network} ${basename(file, '.safetensors')}: op at opset 21`, () =>
        expectParity(file, { lowering: 'op', opset: 21, ...on(WASM) })).timeout(60_000);
    }
  }
});

/** Those that not every machine has: run where there is one, and else in a line of their own that says why not. */
const DEVICES = ['cuda', 'tensorrt', 'webgpu', 'coreml', 'dml'] as const;
/** The dtypes that some of them have no kernels for, on some GPUs or on any. */
const MAY_LACK: readonly DType[] = ['float64', 'float16'];
const HAVE_ALL: readonly string[] = ['cuda', 'tensorrt'];
/** What ONNX Runtime's WebGPU refuses, where it does: an error, and no wrong number. */
const WEBGPU_REFUSES: Readonly<Record<string, RegExp>> = {
  'a convolution of an empty batch': /running Conv node.*Invalid dispatch group size/,
  'LayerNormalization with a scale of one element': /running LayerNormalization node.*Got scale size of 1 /,
};

describe('what PyTorch gives is given', () => {
  for (const provider of DEVICES) {
    it(`on ${provider}`, async function () {
      const { problems } = await chooseBackend(provider, false);
      if (problems) {
        console.log(`    not run on ${provider}: ${problems[0]?.reason}`);
        this.skip();
      }
      const lacking = new Set<string>();
      for (const network of ['group-norm', ...NETWORKS]) {
        for (const file of parityFixtures(network)) {
          for (const lowering of network === 'group-norm' ? loweringsAt(21) : (['op'] as const)) {
            const what = await expectParityOrLack(file, { lowering, opset: 21, provider });
            if (what !== undefined) lacking.add(what);
          }
        }
      }
      for (const what of lacking)
        console.log(`    not run on ${provider}, which has none of it here: ${what}`);
    }).timeout(1_800_000);
  }
});

/** @returns What the provider lacks for it, where it may; everything else must be as in PyTorch. */
async function expectParityOrLack(file: string, spec: CheckSpec): Promise<string | undefined> {
  const fixture = await readOnce(file);
  const { dtype } = fixture.inputs.get('x')!;
  const result = await check(fixture, spec);
  const { code, message } = result.error ?? { code: undefined, message: '' };
  const mayLack = MAY_LACK.includes(dtype) && !HAVE_ALL.includes(spec.provider);
  if (code === 'PROVIDER_UNAVAILABLE' && mayLack) return dtype;
  const refuses = spec.provider === 'webgpu' ? Object.entries(WEBGPU_REFUSES) : [];
  const refused = refuses.find(([, pattern]) => code === 'RUN_FAILED' && pattern.test(message));
  if (refused) return refused[0];
  expect(result.passed, describeFailure(result)).to.equal(true);
  return undefined;
}

/** What the last rounding alone may cost: one unit in the last place of results of this size. */
const LAST_PLACE: Partial<Record<DType, number>> = {
  float32: 2 ** -23,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

describeNative('the kernel is as close to float64 as PyTorch, or within a rounding of it', () => {
  for (const file of parityFixtures('group-norm')) {
    it(basename(file, '.safetensors'), async function () {
      const fixture = await readFixture(file);
      const place = LAST_PLACE[fixture.inputs.get('x')!.dtype];
      // In float64 the truth is PyTorch's own result.
      if (fixture.truth.size === 0 || place === undefined) this.skip();
      const { outputs } = await check(fixture, { lowering: 'op', opset: 21, provider: 'native' });
      for (const { name, distanceToTruth, referenceDistanceToTruth } of outputs) {
        const largest = (fixture.truth.get(name)!.data as Float64Array).reduce(
          (max, value) => Math.max(max, Math.abs(value) || 0),
          0,
        );
        const rounding = place * 2 ** Math.floor(Math.log2(largest || 1));
        expect(distanceToTruth, name).to.be.at.most(Math.max(referenceDistanceToTruth!, rounding));
      }
    });
  }
});

/** The fixture of the last test, which most often is that of the next. */
let last: { file: string; fixture: Fixture } | undefined;

async function readOnce(file: string): Promise<Fixture> {
  if (last?.file !== file) last = { file, fixture: await readFixture(file) };
  return last.fixture;
}

async function expectParity(file: string, spec: CheckSpec): Promise<void> {
  const fixture = await readOnce(file);
  const result = await check(fixture, spec);
  expect(result.passed, describeFailure(result)).to.equal(true);
  expect(result.outputs.map(({ name }) => name)).to.deep.equal([...fixture.outputs.keys()]);
}

const check = (fixture: Fixture, spec: CheckSpec) =>
  checkFixture(fixture, spec, (name, options, input) => getGraph(name).build(options, input));
