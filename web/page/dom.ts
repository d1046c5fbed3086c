/** Elements made and found, with their types. */

type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Pick<HTMLElementTagNameMap[Tag], Exclude<keyof HTMLElementTagNameMap[Tag], 'style'>>
>;

/** A new element with its properties and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** The element of an id, of the class that it must have. */
export function byId<Type extends HTMLElement>(id: string, type: abstract new () => Type): Type {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} of id '${id}'`);
}

/** The options of a select: their values and what is shown for them. */
export function fillSelect(
  select: HTMLSelectElement,
  choices: readonly (readonly [value: string, text: string])[],
): void {
  select.replaceChildren(...choices.map(([value, textContent]) => element('option', { value, textContent })));
}

/** A table with a caption; the first cell of a row is its heading, and the numbers stand right. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): HTMLTableElement {
  return element(
    'table',
    {},
    element('caption', { textContent: caption }),
    element('thead', {}, tableHead(head)),
    element('tbody', {}, ...rows.map(tableRow)),
  );
}

const tableHead = (head: readonly string[]): HTMLTableRowElement =>
  element('tr', {}, ...head.map((textContent) => element('th', { scope: 'col', textContent })));

export const tableRow = ([first = '', ...cells]: readonly string[]): HTMLTableRowElement =>
  element(
    'tr',
    {},
    element('th', { scope: 'row', textContent: first }),
    ...cells.map((textContent) => element('td', { textContent })),
  );

/** Names and values, one above the other. */
export const definitions = (rows: readonly (readonly [name: string, value: string])[]): HTMLDListElement =>
  element(
    'dl',
    {},
    ...rows.map(([name, value]) =>
      element('div', {}, element('dt', { textContent: name }), element('dd', { textContent: value })),
    ),
  );

/** Puts content in the place of what was there, and that into sight. */
export function show(place: HTMLElement, ...content: readonly Node[]): void {
  place.replaceChildren(...content);
  place.hidden = false;
  place.scrollIntoView({ block: 'nearest' });
}
