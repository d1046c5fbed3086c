/** HTML as a value: text from files is escaped wherever it is put in. */
import { printable } from '../printable.js';

/** HTML that goes into a page as it is. Only {@link html} makes it. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a template takes: HTML as it is, text and numbers escaped, lists part by part; `undefined` and `false` are left out. */
export type HtmlPart = Html | string | number | undefined | false | readonly HtmlPart[];

/** Returns the HTML of a template: `` html`<p title="${name}">${text}</p>` ``. Attributes need their quotes. */
export const html = (template: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html =>
  new Html(template.map((text, index) => text + escape(parts[index])).join(''));

function escape(part: HtmlPart): string {
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(escape).join('');
  return part === undefined || part === false
    ? ''
    : printable(String(part)).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
