/** Tabs for the results of one model, as the ARIA Authoring Practices describe them: arrows change the tab. */
import { element } from './dom.js';

export class Tabs {
  readonly #panels = new Map<HTMLElement, HTMLElement>();

  /** @param list The element of the role `tablist`. Panels are put behind it. */
  constructor(readonly list: HTMLElement) {
    list.addEventListener('keydown', ({ key }) => {
      const tabs = [...this.#panels.keys()];
      const current = tabs.findIndex((tab) => tab.ariaSelected === 'true');
      const places: Record<string, number> = {
        ArrowRight: current + 1,
        ArrowLeft: current - 1,
        Home: 0,
        End: -1,
      };
      const place = places[key];
      if (place === undefined) return;
      const tab = tabs.at(place % tabs.length)!;
      this.#select(tab);
      tab.focus();
    });
  }

  /** Puts content into the panel of a name. The first panel is shown, and the others once their tab is chosen. */
  put(name: string, label: string, content: readonly Node[]): HTMLElement {
    const tab = [...this.#panels.keys()].find(({ id }) => id === `tab-${name}`) ?? this.#add(name, label);
    this.#panels.get(tab)!.replaceChildren(...content);
    if (this.#panels.size === 1) this.#select(tab);
    return tab;
  }

  /** Puts content into a panel, shows it and scrolls to it. */
  show(name: string, label: string, content: readonly Node[]): void {
    this.#select(this.put(name, label, content));
    this.reveal();
  }

  /** Scrolls to the panel that is shown, unless its beginning is in sight. */
  reveal(): void {
    const { top } = this.list.getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2) this.list.scrollIntoView();
  }

  #add(name: string, label: string): HTMLElement {
    const tab = element('button', { id: `tab-${name}`, type: 'button', textContent: label });
    const panel = element('div', { id: `panel-${name}`, tabIndex: 0, hidden: true });
    tab.tabIndex = -1;
    tab.setAttribute('aria-selected', 'false');
    tab.setAttribute('role', 'tab');
    tab.setAttribute('aria-controls', panel.id);
    panel.setAttribute('role', 'tabpanel');
    panel.setAttribute('aria-labelledby', tab.id);
    tab.addEventListener('click', () => this.#select(tab));
    this.list.append(tab);
    this.list.parentElement!.append(panel);
    this.#panels.set(tab, panel);
    return tab;
  }

  #select(chosen: HTMLElement): void {
    for (const [tab, panel] of this.#panels) {
      const isChosen = tab === chosen;
      tab.setAttribute('aria-selected', String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      panel.hidden = !isChosen;
    }
  }
}
