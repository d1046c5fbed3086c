/** Reads the code blocks of a Markdown page, with what an HTML comment before each says about running it. */
import { readFileSync } from 'node:fs';

/** What a comment such as `<!-- not run: needs a GPU -->` says of the block behind it. Readers do not see comments. */
export type Note =
  /** The block is not run: why. */
  | { readonly kind: 'not run'; readonly text: string }
  /** The block ends with this code instead of 0. */
  | { readonly kind: 'exits with'; readonly text: string }
  /** The block is a server: it runs until the end of the page, and later blocks wait until this URL answers. */
  | { readonly kind: 'serves'; readonly text: string }
  /** The block is what the block before it prints. */
  | { readonly kind: 'printed'; readonly text: '' };

/** A code block, or the commands of a comment `<!-- set-up … -->`, which makes the files that a reader has. */
export interface Block {
  /** `README.md:9`. */
  readonly place: string;
  /** The word behind the fence: `sh`, `js`, `ts`; empty for output; `set-up` for a comment. */
  readonly language: string;
  readonly text: string;
  readonly note: Note | undefined;
}

const COMMENT = /^<!-- (not run|exits with|serves|printed)(?:: (.+?))? -->$/;

/** The blocks of a page, from top to bottom. @param path The path of the page, as `place` names it. */
export function blocksOf(path: string): Block[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  const blocks: Block[] = [];
  let note: Note | undefined;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at]!;
    const place = `${path}:${at + 1}`;
    const until = (end: RegExp): string => {
      const from = at + 1;
      for (at = from; !end.test(lines[at]!); at += 1) {
        if (at === lines.length - 1) throw new Error(`${place}: the block does not end`);
      }
      return lines.slice(from, at).join('\n');
    };
    const comment = COMMENT.exec(line);
    const fence = /^(`{3,})(\w*)$/.exec(line);
    if (comment) note = { kind: comment[1], text: comment[2] ?? '' } as Note;
    else if (line === '<!-- set-up') blocks.push({ place, language: 'set-up', text: until(/^-->$/), note });
    else if (fence) blocks.push({ place, language: fence[2]!, text: until(RegExp(`^${fence[1]}$`)), note });
    if (!comment && line.trim() !== '') note = undefined;
  }
  return blocks;
}

/** Returns the text of a page without its code blocks. */
export const withoutCode = (text: string): string => text.replaceAll(/^(`{3,})\w*\n[\s\S]*?^\1$/gm, '');

/** The words of a page that are read: code blocks and comments are left out. */
export function wordsOf(path: string): number {
  const text = withoutCode(readFileSync(path, 'utf8'))
    .replaceAll(/<!--[\s\S]*?-->/g, '')
    // The text of a link and the cells of a table count, an image does not.
    .replaceAll(/\]\([^)]*\)/g, ']')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/[|]|-{2,}/g, ' ');
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}
