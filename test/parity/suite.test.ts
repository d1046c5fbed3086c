import { expect } from 'chai';
import { describe, it } from 'mocha';
import { loweringsAt } from '../../lib/lowering/choose.js';
import type { CheckSpec } from '../../lib/parity/check.js';
import { readFixture } from '../../lib/parity/node.js';
import { describeFailure } from '../../lib/parity/report.js';
import { chooseBackend } from '../../lib/runtime/node.js';
import type { DType } from '../../lib/tensor.js';
import { fixturePath, parityFixtures } from '../support/fixtures.js';
import { describeNative } from '../support/native.js';
import { pairwise } from '../support/pairwise.js';
import {
  check,
  expectParity,
  groupNormMatrix,
  modelMatrix,
  nameOf,
  networkMatrix,
  MODELS,
  NETWORKS,
  type ParityRow,
  readOnce,
  testParity,
} from '../support/parity-matrix.js';

const isFullSize = ({ file }: ParityRow): boolean => nameOf(file).endsWith(' full-size');
// Networks in full size take seconds, and their other rows are the same nodes in other sizes.
const fullSize = networkMatrix().filter(
  (row) =>
    isFullSize(row) &&
    row.lowering === 'op' &&
    row.opset === 21 &&
    row.provider === 'native' &&
    row.layout === 'auto',
);
const networks = networkMatrix().filter((row) => !isFullSize(row));
testParity([
  ...pairwise(groupNormMatrix()),
  ...oneForEachFile(networks),
  ...fullSize,
  ...oneForEachFile(modelMatrix()),
]);

/** One row for each fixture. They go through all combinations in turn: 5 does not divide a fixture's number of them. */
function oneForEachFile(rows: readonly ParityRow[]): ParityRow[] {
  const files = [...new Set(rows.map(({ file }) => file))];
  return files.map((file, index) => {
    const own = rows.filter((row) => row.file === file);
    return own[(5 * index) % own.length]!;
  });
}

/** Fixtures that ONNX Runtime's inlined body computes well: no large mean, no empty batch, a dtype with all kernels. */
const WELL_CONDITIONED = [
  'float64',
  'initial',
  'net-unet',
  'torch-numeric-1x8x8x8x9',
  'torch-nwc-4x20x20',
  'gamma-negative',
];

describe('parity of the operator as ONNX Runtime inlines it', () => {
  for (const name of WELL_CONDITIONED) {
    for (const opset of [18, 21, 25]) {
      it(`parity of the inlined operator: ${name} gives what PyTorch gives at opset ${opset}`, () =>
        expectParity(fixturePath('group-norm', name), {
          lowering: 'op',
          groupNorm: 'op',
          opset,
          provider: 'cpu',
        }));
    }
  }
});

/** Providers that need a device. A test without the device prints the reason and is skipped. */
const DEVICES = ['cuda', 'tensorrt', 'webgpu', 'coreml', 'dml'] as const;
/** The dtypes that some devices have no kernels for. */
const MAY_LACK: readonly DType[] = ['float64', 'float16'];
const HAVE_ALL: readonly string[] = ['cuda', 'tensorrt'];
/** What ONNX Runtime's WebGPU may refuse with an error. It must never compute a wrong number. */
const WEBGPU_REFUSES: Readonly<Record<string, RegExp>> = {
  'a convolution of an empty batch': /running Conv node.*Invalid dispatch group size/,
  'LayerNormalization with a scale of one element': /running LayerNormalization node.*Got scale size of 1 /,
};

describe('parity on devices', () => {
  for (const provider of DEVICES) {
    it(`parity on ${provider}: every fixture gives what PyTorch gives`, async function () {
      const { problems } = await chooseBackend(provider, false);
      if (problems) {
        console.log(`    not run on ${provider}: ${problems[0]?.reason}`);
        this.skip();
      }
      const lacking = new Set<string>();
      for (const network of ['group-norm', ...NETWORKS, ...MODELS]) {
        for (const file of parityFixtures(network)) {
          for (const lowering of network === 'group-norm' ? loweringsAt(21) : (['op'] as const)) {
            const what = await expectParityOrLack(file, { lowering, opset: 21, provider });
            if (what !== undefined) lacking.add(what);
          }
        }
      }
      for (const what of lacking)
        console.log(`    not run on ${provider}, which does not support it here: ${what}`);
    }).timeout(1_800_000);
  }
});

/** Returns what the provider lacks to run the fixture, if it may lack it. Otherwise the result must be PyTorch's. */
async function expectParityOrLack(file: string, spec: CheckSpec): Promise<string | undefined> {
  const fixture = await readOnce(file);
  const { dtype } = fixture.inputs.values().next().value!;
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

/** What the last rounding alone may cost: one unit in the last place of a result between 1 and 2. */
const LAST_PLACE: Partial<Record<DType, number>> = {
  float32: 2 ** -23,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

describeNative('the native kernel against float64', () => {
  for (const file of parityFixtures('group-norm')) {
    it(`the native kernel is as close to float64 as PyTorch, or within one rounding: ${nameOf(file)}`, async function () {
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
