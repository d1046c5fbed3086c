/**
 * A plugin of chai 5 and 6 for tests of models: `use(onnxMatchers)`. The default export of `onnx-groupnorm/chai`; imports
 * nothing of chai.
 * @module onnx-groupnorm/chai
 */
import { dirname } from 'node:path';
import { typeName } from './arrays.js';
import { OptionError } from './errors.js';
import { findDataSetDrift, findModelDrift } from './insight/compare/parity-drift.js';
import { SESSION_LOWERING_NAMES } from './lowering/types.js';
import { requireKnownOptions } from './options.js';
import { differencesOfRun, type MatchOptions, matchValues } from './parity/match.js';
import { readFixture } from './parity/node.js';
import { dataSetsIn, readTestDataSet, type TestDataSet, type TestDataSpec } from './parity/test-data-set.js';
import type { Session } from './runtime/core/contract.js';
import { createSession } from './runtime/node.js';

export type { MatchOptions };

/** The tolerances of `matchFixture`, and the model of the session. */
export interface FixtureMatchOptions extends Pick<MatchOptions, 'rtol' | 'atol'> {
  /** The path or bytes of the session's model. With it, the message names the layer at which the drift begins. */
  readonly model?: string | Uint8Array | undefined;
}

/** How `passParity` runs a model, and its tolerances. */
export type ParityMatchOptions = Partial<TestDataSpec>;

declare global {
  // chai's types are global, in @types/chai and in vitest's own. They need not be installed.
  namespace Chai {
    interface Assertion {
      /**
       * Requires equal dtypes and shapes, and |actual − expected| ≤ atol + rtol·|expected| for every element; NaN equals
       * NaN. By default rtol and atol are those of `torch.testing.assert_close` for the dtype. Integers and bool must be
       * equal.
       * @param expected A tensor of this library or of onnxruntime, or a typed array, as the actual value is; the two may
       *   be of different kinds. A typed array has the shape of the other value.
       * @throws TensorError `TENSOR_INVALID` if a value is not a tensor of numbers, with `.not` too; OptionError.
       */
      matchTensor(expected: unknown, options?: MatchOptions): Assertion;
      /**
       * Requires that a session of this library, run once on a fixture's inputs, returns the fixture's outputs, within
       * the fixture's own tolerance or that of `matchTensor`.
       * @param path The path of the `.safetensors` file.
       * @returns A promise: `await` it.
       * @throws FileError, WeightsError or ParityError if the file is not a fixture; SessionError if the session cannot
       *   run it, with `.not` too; OptionError.
       */
      matchFixture(path: string, options?: FixtureMatchOptions): Promise<void>;
      /**
       * Requires that the model at a path returns the expected outputs of every data set beside it: the folders
       * `test_data_set_0` and so on, in the layout of ONNX's own tests.
       * @returns A promise: `await` it.
       * @throws ParityError `NO_FIXTURES` if there are no data sets, `FIXTURE_INVALID`; FileError, ModelError or
       *   SessionError if the model cannot run, with `.not` too; OptionError.
       */
      passParity(options?: ParityMatchOptions): Promise<void>;
    }
  }
}

/** The assertion that chai gives to a method as `this`. */
interface ChaiAssertion {
  assert(passed: boolean, message: string, negatedMessage: string): void;
}

/** The part of chai that the plugin uses. */
export interface ChaiModule {
  /** The class of `expect(value)`. */
  readonly Assertion: { readonly prototype: object };
}

/** The part of chai's utilities that the plugin uses. */
export interface ChaiUtilities {
  /** Adds a method to an object. */
  addMethod(target: object, name: string, method: (...args: never[]) => unknown): void;
  /** Returns what chai keeps under a name with an assertion; `object` is the actual value. */
  flag(assertion: object, name: string): unknown;
}

/**
 * Adds `matchTensor`, `matchFixture` and `passParity` to the assertions of chai: `chai.use(onnxMatchers)`.
 * @param chai The module, which chai gives to its plugins.
 * @param utils chai's utilities.
 */
export default function onnxMatchers(chai: ChaiModule, utils: ChaiUtilities): void {
  const add = (name: string, method: (this: ChaiAssertion, ...args: never[]) => unknown) =>
    utils.addMethod(chai.Assertion.prototype, name, method);

  add('matchTensor', function (expected: unknown, options: MatchOptions = {}) {
    requireKnownOptions('matchTensor', options, ['rtol', 'atol', 'checkDtype']);
    const { passed, type, description } = matchValues(utils.flag(this, 'object'), expected, options);
    this.assert(
      passed,
      `expected ${type} to match: ${description}`,
      `expected ${type} not to match: ${description}`,
    );
  });

  add('matchFixture', async function (path: string, options: FixtureMatchOptions = {}) {
    requireKnownOptions('matchFixture', options, ['rtol', 'atol', 'model']);
    const session = requireSession(utils.flag(this, 'object'));
    requirePath('matchFixture: its argument', path);
    const fixture = await readFixture(path);
    const { rtol = fixture.rtol, atol = fixture.atol, model } = options;
    const differences = await differencesOfRun(session, fixture, { rtol, atol });
    if (differences.length > 0 && model !== undefined && !utils.flag(this, 'negate')) {
      const { provider, groupNorm: execution } = session;
      const groupNorm = SESSION_LOWERING_NAMES.find((name) => name === execution);
      const { description } = await findModelDrift(fixture, model, { provider, groupNorm, rtol, atol });
      differences.push(description);
    }
    requireNone(this, `the session on ${session.provider} X match ${path}`, differences);
  });

  add('passParity', async function (options: ParityMatchOptions = {}) {
    requireKnownOptions('passParity', options, ['provider', 'groupNorm', 'rtol', 'atol']);
    const path: unknown = utils.flag(this, 'object');
    requirePath('passParity: the actual value', path);
    const { provider = 'cpu', groupNorm, ...tolerance } = options;
    const folders = await dataSetsIn(dirname(path));
    await using session = await createSession(path, { providers: [provider], groupNorm });
    const differences: string[] = [];
    let failed: TestDataSet | undefined;
    for (const folder of folders) {
      const dataSet = await readTestDataSet(folder, path);
      const found = await differencesOfRun(session, dataSet, tolerance);
      failed ??= found.length > 0 ? dataSet : undefined;
      differences.push(...found.map((difference) => `${folder}: ${difference}`));
    }
    if (failed && !utils.flag(this, 'negate')) {
      const spec = { provider: session.provider, groupNorm, ...tolerance };
      differences.push(`${failed.file}: ${(await findDataSetDrift(failed, spec)).description}`);
    }
    requireNone(this, `${path} on ${session.provider} X pass parity`, differences);
  });
}

/** @param sentence What is expected, with `X` for the verb. */
function requireNone(assertion: ChaiAssertion, sentence: string, differences: readonly string[]): void {
  assertion.assert(
    differences.length === 0,
    `expected ${sentence.replace(' X ', ' to ')}:\n  ${differences.join('\n  ')}`,
    `expected ${sentence.replace(' X ', ' not to ')}`,
  );
}

function requireSession(value: unknown): Session {
  if (typeof (value as Session | undefined | null)?.run === 'function') return value as Session;
  throw new OptionError(
    'INVALID_OPTION',
    `matchFixture: the actual value is not a session but ${typeName(value)}: give what createSession returns`,
  );
}

function requirePath(what: string, value: unknown): asserts value is string {
  if (typeof value === 'string') return;
  throw new OptionError('INVALID_OPTION', `${what} must be the path of a file, not ${typeName(value)}`);
}
