/**
 * The library of a provider, looked into before a process loads it: one that is cut off ends the process with a bus
 * error, and ONNX Runtime takes one of another version without a word.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Problem } from './backend.js';
import { DOWNLOAD } from './cuda-remedies.js';

/** A version as the libraries hold it, between two zeros. */
const VERSION = /\0(1\.\d{1,2}\.\d{1,2})(?=\0)/g;
const CHUNK = 4 << 20;
/** No version is longer than this, with its zeros. */
const OVERLAP = 16;

/**
 * What keeps a library of ONNX Runtime from being loaded.
 * @param version That of onnxruntime-node.
 */
export async function problemOfLibrary(path: string, version: string): Promise<Problem | undefined> {
  const name = basename(path);
  const remedy = `lay the ${name} of ONNX Runtime ${version} there: ${DOWNLOAD}`;
  if (!(await isWhole(path)))
    return { reason: `${name} is damaged: it is not a library, or cut off`, remedy };
  const versions = await versionsIn(path);
  if (versions.size === 0 || versions.has(version)) return undefined;
  const others = [...versions].join(' or ');
  return { reason: `${name} is of ONNX Runtime ${others}, and onnxruntime-node of ${version}`, remedy };
}

/** Whether a file of ELF, 64 bits, little-endian, reaches to its section table, which is the last thing in it. */
async function isWhole(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const header = Buffer.alloc(64);
    const { bytesRead } = await file.read(header, 0, header.length, 0);
    if (bytesRead < header.length || header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return false;
    const end = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
    return (await file.stat()).size >= end;
  } finally {
    await file.close();
  }
}

async function versionsIn(path: string): Promise<Set<string>> {
  const found = new Set<string>();
  let rest = '';
  for await (const chunk of createReadStream(path, { encoding: 'latin1', highWaterMark: CHUNK })) {
    const text = rest + (chunk as string);
    for (const [, version] of text.matchAll(VERSION)) found.add(version!);
    rest = text.slice(-OVERLAP);
  }
  return found;
}
