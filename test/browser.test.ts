/** The package's entry for browsers, bundled as an application would: it may need nothing that only Node has. */
import { expect } from 'chai';
import { build, type BuildResult } from 'esbuild';
import { before, describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { convertModel, encodeModel, getGraph, initializeWeights } from '../lib/index.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
type Bundle = BuildResult<{ metafile: true; write: false }>;

/** The entries for browsers: the package's own, and that of its subpath. */
const ENTRIES = ['lib/browser.ts', 'lib/images/browser.ts'];

const bundle = (format: 'esm' | 'iife', entries = ENTRIES): Promise<Bundle> =>
  build({
    entryPoints: entries.map((entry) => `${ROOT}${entry}`),
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'browser',
    format,
    globalName: 'library',
    splitting: format === 'esm',
    outdir: 'unused',
    write: false,
    metafile: true,
    conditions: ['onnxruntime-web-use-extern-wasm'],
    logLevel: 'silent',
  });

/** What browsers have and the language has not, as far as building and reading models needs it. */
const GLOBALS = { TextDecoder, TextEncoder };

describe('lib/browser.ts bundled for browsers without polyfills', function () {
  this.timeout(60_000);
  let bundled: Bundle;
  before(async () => {
    bundled = await bundle('esm');
  });

  it('the entries for browsers, bundled, import no module of Node and leave no import open', () => {
    const { inputs, outputs } = bundled.metafile;
    expect(Object.keys(inputs)).to.include.members(ENTRIES);
    const imports = [...Object.values(inputs), ...Object.values(outputs)].flatMap((one) => one.imports);
    const open = imports.filter(({ path, external }) => external && path !== '<runtime>');
    expect(open).to.deep.equal([]);
    expect(imports.filter(({ path }) => isBuiltin(path))).to.deep.equal([]);
    expect(Object.keys(inputs).filter((path) => /onnxruntime-node|pngjs|commander/.test(path))).to.deep.equal(
      [],
    );
  });

  it('lib/browser.ts, bundled for browsers, keeps ONNX Runtime in separate chunks, which the first session loads', () => {
    const { outputs } = bundled.metafile;
    const [entry] = Object.values(outputs).filter(({ entryPoint }) => entryPoint === 'lib/browser.ts');
    expect(Object.keys(entry!.inputs).filter((path) => path.includes('onnxruntime-web'))).to.deep.equal([]);
    expect(entry!.bytes).to.be.below(1e6);
  });

  it('lib/browser.ts, bundled for browsers, builds and converts to the same bytes without process, Buffer and require', async () => {
    const { outputFiles } = await bundle('iife', ['lib/browser.ts']);
    const context = createContext({ ...GLOBALS });
    const program = `
      const graph = library.getGraph('group-norm').build({ numGroups: 8, numChannels: 32 });
      const bytes = library.encodeModel(graph, library.initializeWeights(graph, 7));
      const converted = library.convertModel(bytes);
      [typeof process, typeof Buffer, typeof require, Array.from(bytes), Array.from(converted.bytes)]`;
    const printed = runInContext(`${outputFiles[0]!.text}\n${program}`, context) as unknown[];
    const graph = getGraph('group-norm').build({ numGroups: 8, numChannels: 32 });
    const expected = encodeModel(graph, initializeWeights(graph, 7));
    expect(Array.from(printed.slice(0, 3))).to.deep.equal(['undefined', 'undefined', 'undefined']);
    expect(Uint8Array.from(printed[3] as number[])).to.deep.equal(expected);
    expect(Uint8Array.from(printed[4] as number[])).to.deep.equal(convertModel(expected).bytes);
  });

  it('lib/browser.ts exports nothing of onnx-groupnorm/images', () => {
    const { outputs } = bundled.metafile;
    const [entry] = Object.values(outputs).filter(({ entryPoint }) => entryPoint === 'lib/browser.ts');
    expect(entry!.exports).to.include('createSession');
    expect(entry!.exports.filter((name) => /images|segment|overlay/.test(name))).to.deep.equal([]);
  });

  it("package.json exports the entries for browsers and their types under the condition 'browser'", () => {
    const { exports } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
      exports: Record<string, Record<string, unknown>>;
    };
    expect(Object.keys(exports['.']!)[0]).to.equal('browser');
    expect(exports['.']!['browser']).to.deep.equal({
      types: './dist/lib/browser.d.ts',
      default: './dist/lib/browser.js',
    });
    expect(Object.keys(exports['./images']!)[0]).to.equal('browser');
    expect(exports['./images']!['browser']).to.deep.equal({
      types: './dist/lib/images/browser.d.ts',
      default: './dist/lib/images/browser.js',
    });
  });
});
