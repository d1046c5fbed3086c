// The program of check-prebuilt.ts: the Node of each platform runs it in a project that has installed the package. It
// writes what it found as JSON into the file that it is given, because Node under Wine cannot write to a pipe.
//
//   node --expose-gc prebuilt-program.mjs RESULT
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, toNamespacedPath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createSession, encodeModel, GraphBuilder, op, tensor, writeModel } from 'onnx-groupnorm';

const [CHANNELS, GROUPS, SPATIAL] = [8, 4, 30];
const NATIVE = { providers: ['native'] };

function graph() {
  const g = new GraphBuilder('group-norm');
  const x = g.input('x', 'float32', ['N', CHANNELS, 'L']);
  const scale = g.parameter('scale', { dtype: 'float32', shape: [CHANNELS], init: 'ones' });
  g.output('y', op.groupNormalization(g, x, scale, undefined, { numGroups: GROUPS, epsilon: 1e-5 }));
  return g.build();
}
const weights = new Map([['scale', tensor('float32', [CHANNELS], new Float32Array(CHANNELS).fill(2))]]);
const model = encodeModel(graph(), weights, { opset: 21 });
const x = Float32Array.from({ length: CHANNELS * SPATIAL }, (_, i) => 50 + Math.sin(i * i));

/** GroupNormalization in float64, with a scale of 2. */
function expected() {
  const size = x.length / GROUPS;
  return Array.from(x, (value, i) => {
    const start = Math.floor(i / size) * size;
    const group = Array.from(x.slice(start, start + size));
    const mean = group.reduce((a, b) => a + b) / size;
    const variance = group.reduce((a, b) => a + (b - mean) ** 2, 0) / size;
    return (2 * (value - mean)) / Math.sqrt(variance + 1e-5);
  });
}

async function requireRight(session) {
  const { y } = await session.run({ x: tensor('float32', [1, CHANNELS, SPATIAL], x) });
  const distance = expected().reduce((most, value, i) => Math.max(most, Math.abs(value - y.data[i])), 0);
  if (!(distance < 2e-5)) throw new Error(`the result is wrong by ${distance}`);
}

/** Runs until the worker is terminated, or 20 times. */
async function runInWorker() {
  const session = await createSession(model, NATIVE);
  for (let i = 0; i < (workerData === 'forever' ? Infinity : 20); i++) {
    await requireRight(session);
    parentPort.postMessage(i);
  }
}

async function exitCodesOfWorkers() {
  const workers = Array.from({ length: 4 }, () => new Worker(new URL(import.meta.url)));
  return Promise.all(workers.map(async (worker) => (await once(worker, 'exit'))[0]));
}

async function terminateInRun() {
  const worker = new Worker(new URL(import.meta.url), { workerData: 'forever' });
  await once(worker, 'message');
  await worker.terminate();
}

/** By how many MiB 200 sessions let the resident memory grow, after 100. */
async function growth() {
  const afterSessions = async (count) => {
    for (let i = 0; i < count; i++) {
      const session = await createSession(model, NATIVE);
      await requireRight(session);
      await session.dispose();
    }
    gc();
    return process.memoryUsage().rss / 2 ** 20;
  };
  const before = await afterSessions(100);
  return Math.round((await afterSessions(200)) - before);
}

/** Returns the ways to write a path: on Windows with slashes too, and with the prefix that turns most of its rules off. */
const waysToWrite = (path) =>
  process.platform === 'win32' ? [path, path.replaceAll('\\', '/'), toNamespacedPath(path)] : [path];

/**
 * Writes and reads a model and its weights, and writes a profile, in a folder with a long name that is not ASCII.
 * @returns The paths of the model, which stays: one in each way to write it.
 */
async function useFiles(folder) {
  const deep = join(folder, 'größer ☃', 'a'.repeat(120), 'b'.repeat(120));
  mkdirSync(deep, { recursive: true });
  const models = waysToWrite(join(deep, 'модель.onnx'));
  for (const path of models) {
    await writeModel(path, graph(), weights, { opset: 21, externalData: true });
    const session = await createSession(path, NATIVE);
    await requireRight(session);
    await session.dispose();
  }
  for (const prefix of waysToWrite(join(folder, 'größer ☃', 'профиль'))) {
    const profiled = await createSession(model, { ...NATIVE, profileFilePrefix: prefix });
    await requireRight(profiled);
    await profiled.dispose();
    const isProfile = (name) => name.startsWith('профиль');
    const [profile] = readdirSync(dirname(prefix)).filter(isProfile);
    rmSync(join(dirname(prefix), profile));
  }
  return models;
}

/**
 * Uses files beside this program, and in the folder of temporary files, which lies on another drive under Wine.
 * @returns The paths of the model beside this program.
 */
async function useFolders() {
  const models = await useFiles(dirname(fileURLToPath(import.meta.url)));
  const temporary = mkdtempSync(join(tmpdir(), 'prebuilt-'));
  await useFiles(temporary);
  rmSync(temporary, { recursive: true });
  return models;
}

if (isMainThread) {
  // Before the main thread has loaded the addon: Node unloads it with the last worker.
  const workers = [...(await exitCodesOfWorkers()), ...(await exitCodesOfWorkers())];
  const session = await createSession(model, NATIVE);
  await requireRight(session);
  await terminateInRun();
  await requireRight(session);
  const models = await useFolders();
  const { provider } = await createSession(model);
  const found = {
    platform: `${process.platform}-${process.arch}`,
    provider,
    workers,
    growth: await growth(),
    models,
  };
  writeFileSync(process.argv[2], JSON.stringify(found));
} else {
  await runInWorker();
}
