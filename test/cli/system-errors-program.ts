/** Runs as a process of its own, because it gives up its rights. */
import { chmodSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { all, int, message, text, valueInfo } from '../onnx/bytes.js';
import { type FileError, inspectModel, openSafetensors, readTestDataSet } from '../../lib/index.js';
import { onnx } from './support.js';

const FLOAT = 1;

/** Returns Add of x and a tensor whose elements are in another file. */
export const modelWithDataIn = (location: string): Uint8Array =>
  all(
    int(1, 8),
    message(
      7,
      message(1, text(1, 'x'), text(1, 'w'), text(2, 'y'), text(4, 'Add')),
      message(
        5,
        ...[int(1, 2), int(2, FLOAT), text(8, 'w')],
        ...[message(13, text(1, 'location'), text(2, location)), int(14, 1)],
      ),
      valueInfo(11, 'x', FLOAT, 2),
      valueInfo(12, 'y', FLOAT, 2),
    ),
    message(8, int(2, 17)),
  );

/** A user without rights. */
const UNPRIVILEGED = 65534;

/** Prints what commands do with files that they may not read, and then with files when no more can be opened. */
export async function refuse(folder: string): Promise<void> {
  const at = (name: string) => join(folder, name);
  for (const name of ['m.onnx', 'forbidden.onnx']) writeFileSync(at(name), modelWithDataIn('w.bin'));
  writeFileSync(at('w.bin'), new Uint8Array(8));
  mkdirSync(at('closed'));
  writeFileSync(at('closed/m.onnx'), '');
  chmodSync(folder, 0o755);
  for (const [name, mode] of [
    ['forbidden.onnx', 0],
    ['w.bin', 0],
    ['closed', 0],
  ] as const)
    chmodSync(at(name), mode);
  const outcomes: unknown[] = [];
  const report = async (what: string, ...argv: string[]) => {
    const { code, stderr } = await onnx(...argv);
    outcomes.push({ what, code, stderr });
  };
  if (process.geteuid!() === 0) process.seteuid!(UNPRIVILEGED);
  await report('a model without permission', 'inspect', at('forbidden.onnx'));
  await report('a folder without permission', 'inspect', at('closed/m.onnx'));
  await report('weights without permission', 'convert', at('m.onnx'), '-o', at('out.onnx'));
  await report('a folder that is not writable', 'convert', at('m.onnx'), '-o', '/proc/out.onnx');
  process.seteuid!(process.getuid!());
  chmodSync(at('w.bin'), 0o644);
  const open: number[] = [];
  try {
    for (;;) open.push(openSync('/dev/null', 'r'));
  } catch {
    // The command line itself has files to read.
    for (const [what, read] of [
      ['a model', inspectModel],
      ['weights', openSafetensors],
      ['a data set', readTestDataSet],
    ] as const) {
      const { code } = await read(folder).then(
        () => ({ code: 0 }),
        (error: FileError) => error,
      );
      outcomes.push({ what: `${what} where no more files can be opened`, code, stderr: '' });
    }
  }
  open.forEach((file) => closeSync(file));
  chmodSync(at('closed'), 0o755);
  console.log(JSON.stringify(outcomes));
}
