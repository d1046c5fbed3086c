/** A report as one HTML file that needs no other: no script, no request, one style for light and dark, wide and narrow. */
import { createHash } from 'node:crypto';
import { html, Html, type HtmlPart } from './html.js';
import { CHART_STYLE, COLORS } from './style.js';

/**
 * Returns the text of a page.
 * @param title The title of the document and its heading.
 * @param content The sections below it.
 */
export function page(title: string, content: HtmlPart): string {
  const hash = createHash('sha256').update(STYLE).digest('base64');
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'sha256-${new Html(hash)}'"
        />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${new Html(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${content}
        </main>
      </body>
    </html> `.text;
}

/** A column of a table. */
export interface HtmlColumn {
  readonly head: HtmlPart;
  /** Numbers, which are aligned to the right. */
  readonly isNumeric?: boolean;
  readonly cells: readonly HtmlPart[];
}

/** Returns a table, which scrolls on a screen that is narrower. The first column has the heads of the rows. */
export function table(caption: string, columns: readonly HtmlColumn[]): Html {
  const classOf = ({ isNumeric }: HtmlColumn) => (isNumeric ? 'number' : 'text');
  const rows = (columns[0]?.cells ?? []).map((_, row) =>
    columns.map((column, index) =>
      index === 0
        ? html`<th scope="row" class="${classOf(column)}">${column.cells[row]}</th>`
        : html`<td class="${classOf(column)}">${column.cells[row]}</td>`,
    ),
  );
  return html`<p class="caption">${caption}</p>
    <div class="scroll" role="region" aria-label="${caption}" tabindex="0">
      <table>
        <thead>
          <tr>
            ${columns.map((column) => html`<th scope="col" class="${classOf(column)}">${column.head}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) =>
              html`<tr>
                ${row}
              </tr>`,
          )}
        </tbody>
      </table>
    </div> `;
}

/** The browser applies this style alone: the policy has its hash. */
const STYLE = `
${COLORS}* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 8px 0 16px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 32px 0 8px; }
p, li, dd { overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 16px; margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; }
code { font: 0.9em ui-monospace, monospace; }
.warn { color: var(--warn); }
.fail { color: var(--fail); }
.pass { color: var(--pass); }
.scroll { overflow-x: auto; margin: 4px 0 8px; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; white-space: nowrap; }
thead th { background: var(--raised); }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: flow-root; margin: 16px 0; }
figcaption, .caption { color: var(--dim); font-size: 0.9rem; margin: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 0 20px; margin: 0 0 4px; padding: 0; list-style: none; font-size: 0.9rem; }
.legend li::before { content: "●"; margin-right: 6px; color: var(--series); }
.chart { display: block; overflow: visible; height: 260px; margin: 34px 16px 52px 60px; width: calc(100% - 76px); }
${CHART_STYLE}.heats { display: flex; flex-wrap: wrap; gap: 0 32px; }
.heat svg { display: block; max-width: 100%; border: 1px solid var(--line); }
.heat-0 { --series: var(--raised); }
.heat-1 { --series: color-mix(in srgb, var(--series-0) 20%, var(--back)); }
.heat-2 { --series: color-mix(in srgb, var(--series-0) 50%, var(--back)); }
.heat-3 { --series: var(--series-0); }
.heat-4 { --series: color-mix(in srgb, var(--fail) 35%, var(--back)); }
.heat-5 { --series: color-mix(in srgb, var(--fail) 65%, var(--back)); }
.heat-6 { --series: var(--fail); }
.heat-7 { --series: var(--text); }
.heat path { fill: var(--series); }
@media print { .scroll { overflow: visible; } th, td { white-space: normal; } }
`;
