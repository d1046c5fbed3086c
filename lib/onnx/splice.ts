/** Messages of which some fields are changed and all others stay as they were read, byte for byte. */
import { delimited } from './chunks.js';
import type { WireReader } from './wire.js';

/** The whole fields that take a field's place, as chunks; nothing to leave it as it is. */
export type Replace = (field: WireReader) => Uint8Array[] | undefined;

/**
 * Puts other fields in the place of some of a message's.
 * @returns The message in runs of whole fields: views of what stays, and the chunks of each replacement. Nothing if
 *   all of it stays as it is.
 */
export function spliceRuns(message: WireReader, replace: Replace): Uint8Array[][] | undefined {
  const runs: Uint8Array[][] = [];
  let kept = message.position;
  const keepUntil = (end: number) => end > kept && runs.push([message.between(kept, end)]);
  let changed = false;
  while (message.next()) {
    const replacement = replace(message);
    if (!replacement) continue;
    keepUntil(message.recordStart);
    runs.push(replacement);
    kept = message.position;
    changed = true;
  }
  keepUntil(message.position);
  return changed ? runs : undefined;
}

/** The same for the message in a field: the field with its new content, as chunks. */
export function spliceWithin(field: WireReader, replace: Replace): Uint8Array[] | undefined {
  const { tag } = field;
  const runs = spliceRuns(field.enter(), replace);
  return runs && delimited(tag, runs.flat());
}

/** A field of UTF-8. */
export const textField = (tag: number, text: string): Uint8Array[] =>
  delimited(tag, [new TextEncoder().encode(text)]);
