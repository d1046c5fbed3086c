/**
 * Checks the models that this library writes with ONNX's own tools: `onnx.checker` with full checks, strict shape
 * inference, and Python's onnxruntime, whose results must equal those of the fixtures. It takes every committed
 * network case, under every lowering, at opsets 17 and 21.
 *
 * It needs a Python with onnx, onnxruntime and safetensors (scripts/requirements.txt). Without these packages it
 * prints NOT RUN and exits with 0.
 *
 *   npm run check:models [-- PYTHON]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultTolerance, type Fixture, getGraph, loweringsAt, readFixture } from '../../lib/index.js';
import { type BuildGraph, buildFixtureModel } from '../../lib/parity/check.js';

const FIXTURES = fileURLToPath(new URL('../../test/fixtures', import.meta.url));
const CHECKER = fileURLToPath(new URL('check_models.py', import.meta.url));
const OPSETS = [17, 21];
/** The single norms that stand for layers of real networks. */
const SINGLE_NORMS = /^(net-|torch-)/;

const buildGraph: BuildGraph = (name, options, input) => getGraph(name).build(options, input);

interface Job {
  readonly model: string;
  readonly fixture: string;
  readonly lowering: string;
  readonly opset: number;
  readonly rtol: number;
  readonly atol: number;
}

async function main(): Promise<number> {
  const python = process.argv[2] ?? process.env['PYTHON'] ?? 'python3';
  const probe = spawnSync(python, ['-c', 'import onnx, onnxruntime, safetensors']);
  if (probe.status !== 0) {
    console.log(
      `check:models: NOT RUN: ${python} needs the packages onnx, onnxruntime and safetensors (scripts/requirements.txt)`,
    );
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'check-models-'));
  try {
    const jobs: Job[] = [];
    for (const fixture of fixtures()) jobs.push(...(await writeModels(folder, fixture)));
    writeFileSync(join(folder, 'jobs.json'), JSON.stringify(jobs));
    return spawnSync(python, [CHECKER, join(folder, 'jobs.json')], { stdio: 'inherit' }).status ?? 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function fixtures(): string[] {
  const inFolder = (folder: string) =>
    readdirSync(join(FIXTURES, folder))
      .filter((name) => name.endsWith('.safetensors') && (folder !== 'group-norm' || SINGLE_NORMS.test(name)))
      .map((name) => join(FIXTURES, folder, name));
  return readdirSync(FIXTURES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => inFolder(name));
}

async function writeModels(folder: string, path: string): Promise<Job[]> {
  const fixture = await readFixture(path);
  const { rtol, atol } = defaultTolerance(fixture.outputs.values().next().value!.dtype);
  return opsetsFor(fixture).flatMap((opset) =>
    loweringsFor(opset).map((lowering): Job => {
      const model = join(folder, `${fixture.graph}.${basename(path)}.${lowering}.${opset}.onnx`);
      writeFileSync(model, buildFixtureModel(fixture, { opset, lowering }, buildGraph));
      const tolerance = { rtol: fixture.rtol ?? rtol, atol: fixture.atol ?? atol };
      return { model, fixture: path, lowering, opset, ...tolerance };
    }),
  );
}

/** ONNX's checker refuses the operator of opset 18 to 20, which a later opset deprecated. */
const loweringsFor = (opset: number) => loweringsAt(opset).filter((name) => name !== 'op' || opset >= 21);

/** One case of each U-Net of diffusers runs at more opsets: its operators have changed the most. */
const opsetsFor = ({ graph, weightsSeed }: Fixture): readonly number[] =>
  graph.startsWith('unet-2d') && weightsSeed === undefined ? [17, 18, 21, 25] : OPSETS;

process.exitCode = await main();
