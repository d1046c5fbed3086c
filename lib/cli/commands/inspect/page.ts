/** The page of `inspect --html`: the model, the warnings, charts of what a run has measured, and the normalizations in order. */
import { type ChartPoint, lineChart } from '../../../html/chart.js';
import { html, type Html } from '../../../html/html.js';
import { page, table } from '../../../html/page.js';
import { columnsOf, headOf, labelOf, warningsIn, writtenBy } from '../../../insight/inspect/columns.js';
import type {
  ModelInspection,
  Normalization,
  NormalizationStatistics,
} from '../../../insight/inspect/types.js';
import { listNames, plural } from '../../../quantities.js';

/** Returns the text of the page. */
export function inspectionPage(
  path: string,
  { model, provider, normalizations: rows }: ModelInspection,
): string {
  const warnings = warningsIn(rows);
  return page(path, [
    html`<p>The model is ${writtenBy(model)}.</p>`,
    html`<dl>
      ${headOf(model, provider).map(
        ([term, text]) =>
          html`<dt>${term}</dt>
            <dd>${text}</dd>`,
      )}
    </dl>`,
    warnings.length > 0 &&
      html`<h2>Warnings</h2>
        <ul>
          ${warnings.map(({ subjects, text }) => html`<li><strong>${listNames(subjects, 3)}</strong>: <span class="warn">${text}.</span></li>`)}
        </ul>`,
    rows.some(({ statistics }) => statistics) && chartsOf(rows),
    html`<h2>Normalizations</h2>`,
    rows.length === 0 ? html`<p>The model has no normalizations.</p>` : tableOf(rows),
  ]);
}

const chartsOf = (rows: readonly Normalization[]): Html => {
  const points = (value: (statistics: NormalizationStatistics) => number): ChartPoint[] =>
    rows.flatMap((row, index) =>
      row.statistics ? [{ x: index + 1, y: value(row.statistics), name: labelOf(row) }] : [],
    );
  const common = { xLabel: 'number of the normalization', isLog: true };
  return html`<h2>Statistics by depth</h2>
    ${lineChart({
      ...common,
      title: 'How far the mean is from 0, in the worst row of each normalization',
      yLabel: 'mean ÷ deviation',
      series: [{ name: 'mean ÷ deviation', points: points(({ meanToDeviation }) => meanToDeviation) }],
    })}
    ${lineChart({
      ...common,
      title: "How far ONNX Runtime's inlined GroupNormalization would be off, before scale and bias",
      yLabel: 'largest difference from float64',
      series: [{ name: 'inlined GroupNormalization', points: points(({ inlinedError }) => inlinedError) }],
      marks: [{ y: 1e-5, name: "assert_close's atol" }],
    })}`;
};

function tableOf(rows: readonly Normalization[]): Html {
  const number = { head: '#', isNumeric: true, cells: rows.map((_, index) => index + 1) };
  const columns = columnsOf(rows).map(({ head, cells, align }) => ({
    head,
    cells,
    isNumeric: align === 'right',
  }));
  return table(`${plural(rows.length, 'normalization')} in the order in which they run`, [
    number,
    ...columns,
  ]);
}
