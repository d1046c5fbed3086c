/** Makes and finds elements, with their types. */

type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<
  Pick<HTMLElementTagNameMap[Tag], Exclude<keyof HTMLElementTagNameMap[Tag], 'style'>>
>;

/** Makes an element with properties and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties<Tag> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Finds the element of an id, and checks its class. */
export function byId<Type extends HTMLElement>(id: string, type: abstract new () => Type): Type {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} of id '${id}'`);
}

/** Fills a select with options: their values and their texts. */
export function fillSelect(
  select: HTMLSelectElement,
  choices: readonly (readonly [value: string, text: string])[],
): void {
  select.replaceChildren(...choices.map(([value, textContent]) => element('option', { value, textContent })));
}

/** Makes a table with a caption; the first cell of each row is its heading. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly (string | Node)[])[],
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

export const tableRow = ([first = '', ...cells]: readonly (string | Node)[]): HTMLTableRowElement =>
  element('tr', {}, element('th', { scope: 'row' }, first), ...cells.map((cell) => element('td', {}, cell)));

/** Makes a list of names and values. */
export const definitions = (rows: readonly (readonly [name: string, value: string])[]): HTMLDListElement =>
  element(
    'dl',
    {},
    ...rows.map(([name, value]) =>
      element('div', {}, element('dt', { textContent: name }), element('dd', { textContent: value })),
    ),
  );

/** Makes a region that scrolls where its content is wider or higher, by keyboard too. */
export function scrolling(label: string, content: Node): HTMLElement {
  const region = element('div', { className: 'scroll', tabIndex: 0 }, content);
  region.setAttribute('role', 'region');
  region.setAttribute('aria-label', label);
  return region;
}

/** Returns the content of a template of index.html. */
export const fromTemplate = (id: string): DocumentFragment =>
  byId(id, HTMLTemplateElement).content.cloneNode(true) as DocumentFragment;
