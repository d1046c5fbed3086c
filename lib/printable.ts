/**
 * Text from files, for people: names in a model may hold characters that move a terminal's cursor, hide what follows or
 * begin a new line in a log.
 */

/** Control and format characters (bidirectional ones among them), line and paragraph separators, lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Returns text with every character that does not print as an escape of JavaScript: `\u001b`, `\u{e0001}`. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, escape);

/** Returns the same as {@link printable}, but keeps line feeds. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');

/** Returns JSON without characters that do not print, for files that people open in a terminal. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(UNPRINTABLE, (character) =>
    character === '\n' ? character : [...character].flatMap(codeUnits).map(escape).join(''),
  );

function escape(character: string): string {
  const code = character.codePointAt(0)!;
  const hex = code.toString(16);
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
}

/** JSON has no escapes beyond 16 bits. */
const codeUnits = (character: string): string[] => character.split('');

/** The longest line of a message. A name in a model may have a million characters. */
const MAX_LINE = 2000;
/** The end of a message says what to do. */
const KEPT_END = 500;

/** Returns the lines of a message so that they print and that a log can hold them: the middle of a long line is left out. */
export const printableMessage = (lines: string | readonly string[]): string =>
  [lines].flat().map(printableLine).join('\n');

function printableLine(text: string): string {
  if (text.length <= MAX_LINE) return printable(text);
  const end = printable(text.slice(-KEPT_END));
  return `${printable(text.slice(0, MAX_LINE - KEPT_END))} […] ${end}`;
}
