/**
 * The combinations of fixture, lowering, opset, shapes and provider that must agree with PyTorch. `npm test` runs a
 * pairwise choice of them, and `npm run test:matrix` runs all.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { basename, dirname } from 'node:path';
import { getGraph } from '../../graphs/registry.js';
import { loweringsAt } from '../../lib/lowering/choose.js';
import type { LoweringName } from '../../lib/lowering/types.js';
import type { CaseResult, CheckSpec } from '../../lib/parity/check.js';
import type { Fixture } from '../../lib/parity/fixture.js';
import { checkFixture, readFixture } from '../../lib/parity/node.js';
import { describeFailure } from '../../lib/parity/report.js';
import { parityFixtures } from './fixtures.js';
import { describeNative } from './native.js';

/** `cpu` is onnxruntime-node without the native kernel, because it names the rewrite that its sessions use. */
const PROVIDERS = {
  cpu: { groupNorm: 'reduce-mean', describe },
  native: { groupNorm: undefined, describe: describeNative },
  wasm: { groupNorm: undefined, describe },
} as const;
type Provider = keyof typeof PROVIDERS;
const PROVIDER_NAMES = Object.keys(PROVIDERS) as Provider[];

/** The graphs of more than one node. */
export const NETWORKS = ['resnet-block', 'double-conv', 'unet', 'detection-backbone', 'norm-comparison'];

/** Published models: graphs of hundreds of nodes, whose fixtures differ in the nodes and not in the operators. */
export const MODELS = ['autoencoder-kl', 'unet-2d', 'unet-2d-condition'];

/** One combination. A type, not an interface, so that it is a `Row`. */
export type ParityRow = {
  readonly file: string;
  readonly lowering: LoweringName;
  readonly opset: number;
  /** Whether the model names its batch and spatial dimensions or fixes them. */
  readonly shapes: 'named' | 'fixed';
  readonly provider: Provider;
  /** The option of the session; only the native kernel has the choice. */
  readonly layout: 'auto' | 'plain';
};

/** Every fixture of one GroupNorm, with each lowering at each opset that changes an operator; fixed shapes at one opset. */
export const groupNormMatrix = (): ParityRow[] =>
  product(
    [...parityFixtures('group-norm'), ...parityFixtures('onnx')],
    [13, 17, 18, 20, 21, 25],
    [21],
    ['auto'],
  );

/** Every fixture of a network. Its lowerings differ in one operator, which `groupNormMatrix` has at every opset. */
export const networkMatrix = (): ParityRow[] =>
  product(NETWORKS.flatMap(parityFixtures), [17, 21], [], ['auto', 'plain']);

/** Every fixture of a published model. */
export const modelMatrix = (): ParityRow[] =>
  product(MODELS.flatMap(parityFixtures), [17, 21], [21], ['auto', 'plain']);

function product(
  files: readonly string[],
  opsets: readonly number[],
  fixedShapesAt: readonly number[],
  nativeLayouts: readonly ParityRow['layout'][],
): ParityRow[] {
  const rows: ParityRow[] = [];
  for (const file of files) {
    for (const opset of opsets) {
      for (const lowering of loweringsAt(opset)) {
        for (const shapes of ['named', 'fixed'] as const) {
          if (shapes === 'fixed' && !fixedShapesAt.includes(opset)) continue;
          for (const provider of PROVIDER_NAMES) {
            for (const layout of provider === 'native' ? nativeLayouts : (['auto'] as const))
              rows.push({ file, lowering, opset, shapes, provider, layout });
          }
        }
      }
    }
  }
  return rows;
}

/** Adds one test for each row, in one suite for each provider. */
export function testParity(rows: readonly ParityRow[]): void {
  for (const provider of PROVIDER_NAMES) {
    const { groupNorm, describe: describeProvider } = PROVIDERS[provider];
    describeProvider(`parity on ${provider}`, function () {
      this.timeout(60_000);
      for (const row of rows.filter((one) => one.provider === provider)) {
        const { file, lowering, opset, shapes, layout } = row;
        it(`parity on ${provider}: ${nameOf(file)} gives what PyTorch gives, as ${lowering} at opset ${opset} with ${shapes} shapes and layout ${layout}`, () =>
          expectParity(file, {
            lowering,
            opset,
            provider,
            groupNorm,
            layout,
            staticShapes: shapes === 'fixed',
          }));
      }
    });
  }
}

/** Returns the folder and the name of a fixture: `unet counter`. */
export const nameOf = (file: string): string =>
  `${basename(dirname(file))} ${basename(file, '.safetensors')}`;

/** The fixture of the last test, which most often is that of the next. */
let last: { file: string; fixture: Fixture } | undefined;

export async function readOnce(file: string): Promise<Fixture> {
  if (last?.file !== file) last = { file, fixture: await readFixture(file) };
  return last.fixture;
}

export async function expectParity(file: string, spec: CheckSpec): Promise<void> {
  const fixture = await readOnce(file);
  const result = await check(fixture, spec);
  expect(result.passed, describeFailure(result)).to.equal(true);
  expect(result.outputs.map(({ name }) => name)).to.deep.equal([...fixture.outputs.keys()]);
}

export const check = (fixture: Fixture, spec: CheckSpec): Promise<CaseResult> =>
  checkFixture(fixture, spec, (name, options, input) => getGraph(name).build(options, input));
