/** The styles that pages and charts share. */

/** The colours, light and dark. `--series-N` are those of charts. */
export const COLORS = `:root {
  color-scheme: light dark;
  --text: #1d2129; --dim: #5a6270; --line: #d5d9e0; --back: #fff; --raised: #f4f5f8;
  --warn: #8a5300; --fail: #b3261e; --pass: #1a6b35;
  --series-0: #2360c5; --series-1: #b3470b; --series-2: #1a7f4b; --series-3: #8a3ab9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e4e7ec; --dim: #a2aab8; --line: #3a414d; --back: #14171c; --raised: #1f242c;
    --warn: #f0b45a; --fail: #ff8a80; --pass: #7bd69a;
    --series-0: #82b1ff; --series-1: #ffa66b; --series-2: #73d69d; --series-3: #d3a4f5;
  }
}
`;

/** The style of what a chart draws. */
export const CHART_STYLE = `.chart text { fill: var(--dim); font-size: 12px; }
.chart .grid { stroke: var(--line); }
.chart .mark { stroke: var(--fail); stroke-dasharray: 6 4; }
.chart .mark-name { fill: var(--fail); }
.chart g line { stroke: var(--series); stroke-width: 1.5; }
.chart circle { fill: var(--series); stroke: var(--back); }
.chart circle.edge { fill: var(--back); stroke: var(--series); stroke-width: 2; }
.chart circle:hover { stroke: var(--text); stroke-width: 2; }
.series-0 { --series: var(--series-0); }
.series-1 { --series: var(--series-1); }
.series-2 { --series: var(--series-2); }
.series-3 { --series: var(--series-3); }
`;
