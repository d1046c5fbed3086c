/** A module in a process of its own, for what a process can do once. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** @returns What it wrote. */
export async function outputOf(
  source: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', source];
  const options = { env: { ...process.env, ...env } };
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, ...args], options);
  return stdout.trim();
}

/** A module of this project as a program's text imports it. @param path From test/support. */
export const moduleUrl = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** The start of a program's text: `createSession`, and a `model` of one small GroupNormalization. */
export const SMALL_MODEL = `
  const { createSession } = await import(${moduleUrl('../../lib/index.ts')});
  const { groupNormModel, randomTensor } = await import(${moduleUrl('group-norm.ts')});
  const model = groupNormModel(
    { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 },
    { lowering: 'op', opset: 21 },
  );
`;
