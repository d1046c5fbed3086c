/** The process that cases run in. It gets one case at a time, and tells what it does, so that its end can be explained. */
import { writeFileSync } from 'node:fs';
import { type CaseId, makeCase } from './cases.js';
import { FORMATS } from './formats.js';
import { type Finding, Probe } from './probe.js';
import { Sandbox } from './sandbox.js';

export interface Request extends CaseId {
  readonly only?: string | undefined;
  /** Whether each call is told and measured by itself. */
  readonly isAlone: boolean;
  /** A file to write the bytes of the case to. */
  readonly save?: string | undefined;
}

/** What a child sends: that a case begins or the call that it makes, or that the case has ended. */
export type Reply = { readonly way: string; readonly format: string } | CaseEnd;

/** What a case led to. */
export interface CaseEnd {
  readonly format: string;
  readonly findings: readonly Finding[];
  readonly accepted: number;
  readonly refused: number;
  /** The most memory that a call took, and all memory after the case, in bytes. */
  readonly peak: number;
  readonly resident: number;
}

/** The names of files and folders that cases write. */
const OWN_FILES = ['model.onnx', 'converted.onnx', 'weights.safetensors', 'built.onnx', 'checkpoint'];

const sandbox = new Sandbox(process.argv[2]!);
let unhandled: unknown[] = [];
for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error: unknown) => unhandled.push(error));
}
process.on('warning', () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', (request: Request) => void answer(request));

const send = (reply: Reply): void => void process.send!(reply);

async function answer(request: Request): Promise<void> {
  const { format, sample } = makeCase(request, request.only);
  send({ way: 'reading', format });
  if (request.save) writeFileSync(request.save, sample.bytes);
  const { codes, exercise } = FORMATS[format]!;
  const probe = new Probe(sample.bytes.length, (way) => send({ way, format }), request.isAlone, codes);
  await exercise(probe, sample, sandbox);
  probe.measure();
  // Rejections without a handler are known one turn of the event loop later.
  if (sample.load) await new Promise(setImmediate);
  for (const error of unhandled) {
    probe.report('unhandled', 'the event loop', error instanceof Error ? (error.stack ?? '') : String(error));
  }
  unhandled = [];
  for (const path of sandbox.readCanaries()) probe.report('file', 'reading', `it read ${path}`);
  const stray = sandbox.strayFiles(OWN_FILES);
  if (stray.length > 0) probe.report('file', 'writing', `files left: ${stray.join(', ')}`);
  send({
    format,
    findings: probe.findings,
    ...probe.counts,
    peak: probe.peak,
    resident: process.memoryUsage.rss(),
  });
}
