/** The results of `compare` as one page: the error by depth as a chart, the values as a table, heat maps of the worst values. */
import type {
  HeatMap,
  HeatMapTable,
  ModelComparison,
  ValueComparison,
} from '../../../insight/compare/comparison.js';
import { lineChart } from '../../../html/chart.js';
import { heatMap, heatMapLegend } from '../../../html/heat-map.js';
import { html, type Html } from '../../../html/html.js';
import { page, table } from '../../../html/page.js';
import { formatElement } from '../../../parity/report.js';
import { formatDifference, listNames, plural } from '../../../quantities.js';
import { formatShape } from '../../../tensor.js';
import { describeShare, shareOf } from './report.js';

/** Returns the text of the page. */
export const comparisonsToHtml = (comparisons: readonly ModelComparison[]): string =>
  page(
    comparisons.map(({ expected, actual }) => `${actual.label} against ${expected.label}`).join(', '),
    comparisons.map((one) => comparisonSection(one, comparisons.length > 1)),
  );

/** A browser shows so many rows and points without delay. */
const MAX_SHOWN = 2000;

function comparisonSection(comparison: ModelComparison, isOneOfMany: boolean): Html {
  const { expected, actual, values, first, notCompared, notes, counts, passed, heatMaps } = comparison;
  const shown = mostImportant(values);
  const place = new Map(values.map((value, index) => [value, index + 1]));
  return html`<section>
    ${isOneOfMany && html`<h2>${actual.label} against ${expected.label}</h2>`}
    <p class="${passed ? 'pass' : 'fail'}">
      ${passed ? 'No drift' : 'Failed'}: ${counts.within} within the tolerance, ${counts.drifts} beyond,
      ${counts.type} of another type, ${counts['not-finite']} not finite, ${notCompared.length} not compared.
    </p>
    ${first !== null && firstValue(first)} ${notes.map((note) => html`<p class="warn">${note}</p>`)}
    ${lineChart({
      title: 'Error by depth: the share of its tolerance that the worst element of each value uses',
      xLabel: 'value, in the order of the graph',
      yLabel: 'share of the tolerance',
      isLog: true,
      marks: [{ y: 1, name: 'tolerance' }],
      series: [
        {
          name: `${actual.label} against ${expected.label}`,
          points: shown.map((value) => ({ x: place.get(value)!, y: shareOf(value), name: nameOf(value) })),
        },
      ],
    })}
    ${
      heatMaps.length > 0 &&
      html`<h2>Where the worst values differ</h2>
        <p>A cell is the worst element of its part of the tensor, as a share of the tolerance.</p>
        ${heatMapLegend()}${heatMaps.map(heatMapSection)}`
    }
    <h2>Values</h2>
    ${shown.length < values.length && html`<p>The worst ${shown.length} of ${values.length} values.</p>`}
    ${valueTable(shown, place)} ${notCompared.length > 0 && html`<h2>Not compared</h2>`}
    ${
      notCompared.length > 0 &&
      table(
        `${plural(notCompared.length, 'value')}${notCompared.length > MAX_SHOWN ? `, of which ${MAX_SHOWN} are here` : ''}`,
        [
          { head: 'name', cells: notCompared.slice(0, MAX_SHOWN).map(({ name }) => name) },
          { head: 'side', cells: notCompared.slice(0, MAX_SHOWN).map(({ side }) => side) },
          { head: 'reason', cells: notCompared.slice(0, MAX_SHOWN).map(({ reason }) => reason) },
        ],
      )
    }
  </section> `;
}

/** Returns the values that use most of their tolerance, in the order of the graph. */
function mostImportant(values: readonly ValueComparison[]): readonly ValueComparison[] {
  if (values.length <= MAX_SHOWN) return values;
  const worst = new Set([...values].sort((a, b) => shareOf(b) - shareOf(a) || 0).slice(0, MAX_SHOWN));
  return values.filter((value) => worst.has(value));
}

const nameOf = ({ name, module }: ValueComparison): string =>
  module === undefined ? name : `${module} (${name})`;

const firstValue = (value: ValueComparison): Html =>
  html`<p>The first value beyond the tolerance:</p>
    <dl>
      <dt>value</dt>
      <dd>${value.name}${value.isOutput && ', an output'}</dd>
      <dt>made by</dt>
      <dd>${value.operator || 'no node'} ${value.node}</dd>
      <dt>module</dt>
      <dd>
        ${value.module ?? 'the exporter left no name'}${value.merged.length > 0 && `; computed with ${listNames(value.merged, 4)}`}
      </dd>
      <dt>worst element</dt>
      <dd>${worstOf(value)}</dd>
    </dl> `;

function worstOf({ difference }: ValueComparison): string {
  if (!difference?.worstIndex) return '–';
  const { worstIndex, worstActual, worstExpected } = difference;
  return `${formatShape(worstIndex)}: ${formatElement(worstActual)}, expected ${formatElement(worstExpected)}`;
}

const valueTable = (values: readonly ValueComparison[], place: ReadonlyMap<ValueComparison, number>): Html =>
  table('In the order of the graph', [
    { head: 'value', cells: values.map(({ name }) => name) },
    { head: '#', isNumeric: true, cells: values.map((value) => place.get(value)) },
    { head: 'module', cells: values.map(({ module }) => module ?? '–') },
    { head: 'operator', cells: values.map(({ operator }) => operator) },
    { head: 'type', cells: values.map(({ dtype, dims }) => `${dtype} ${formatShape(dims)}`) },
    {
      head: 'max abs',
      isNumeric: true,
      cells: values.map(({ difference }) => formatDifference(difference?.maxAbs)),
    },
    {
      head: 'max rel',
      isNumeric: true,
      cells: values.map(({ difference }) => formatDifference(difference?.maxRel)),
    },
    { head: 'of tolerance', isNumeric: true, cells: values.map(describeShare) },
    { head: 'worst element', cells: values.map(worstOf) },
    { head: 'result', cells: values.map(resultOf) },
  ]);

const RESULTS = {
  within: 'within',
  drifts: 'beyond',
  type: 'other type',
  'not-finite': 'not finite',
} as const;

const resultOf = ({ verdict }: ValueComparison): Html =>
  html`<span class="${verdict === 'within' ? 'pass' : verdict === 'not-finite' ? 'warn' : 'fail'}"
    >${RESULTS[verdict]}</span
  >`;

const heatMapSection = ({ name, maps }: HeatMap): Html =>
  html`<div class="heats">${maps.map((map) => heatMapFigure(name, map))}</div> `;

const heatMapFigure = (name: string, { down, across, cells }: HeatMapTable): Html =>
  heatMap({
    title: name,
    down: `${down.size} × ${down.axis}`,
    across: `${across.size} × ${across.axis}`,
    cells,
  });
