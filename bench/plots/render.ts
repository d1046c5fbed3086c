/** Plots as SVG: one style for all, light and dark. The same specification gives the same bytes. */
import { parse, resetSVGDefIds, View } from 'vega';
import { compile, type Config, type TopLevelSpec } from 'vega-lite';

export const THEMES = ['light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** Colours that people with colour blindness tell apart (after Okabe and Ito), on white and on black. */
const COLOURS: Readonly<Record<Theme, Readonly<Record<'ink' | 'faint' | 'line', string>>>> = {
  light: { ink: '#1f2328', faint: '#59636e', line: '#d1d9e0' },
  dark: { ink: '#f0f6fc', faint: '#9198a1', line: '#3d444d' },
};
export const PALETTE: Readonly<Record<Theme, readonly string[]>> = {
  light: ['#0072b2', '#d55e00', '#007a5a', '#aa4a84', '#7a6000', '#59636e'],
  dark: ['#56b4e9', '#ff9248', '#2fc79c', '#e493c1', '#e0c34a', '#9198a1'],
};

/** The width of a plot. At 400 px, which is five sixths of this, the text has 11 px. */
export const WIDTH = 480;
const FONT_SIZE = 13;

function configOf(theme: Theme): Config {
  const { ink, faint, line } = COLOURS[theme];
  const font = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif';
  const text = { labelFontSize: FONT_SIZE, titleFontSize: FONT_SIZE, labelColor: ink, titleColor: faint };
  return {
    background: 'transparent',
    font,
    view: { stroke: null },
    title: {
      color: ink,
      fontSize: 16,
      anchor: 'start',
      offset: 14,
      subtitleColor: faint,
      subtitleFontSize: FONT_SIZE,
    },
    axis: {
      ...text,
      titleFontWeight: 'normal',
      titlePadding: 8,
      labelLimit: 0,
      gridColor: line,
      domainColor: faint,
      tickColor: faint,
    },
    legend: { ...text, title: null, labelLimit: 0, symbolSize: 90, symbolStrokeWidth: 2 },
    text: { color: ink, fontSize: FONT_SIZE },
    range: { category: [...PALETTE[theme]] },
  };
}

/** Returns the SVG of a plot. */
export async function renderPlot(spec: TopLevelSpec, theme: Theme): Promise<string> {
  // Vega counts the ids of clip paths for the whole process.
  resetSVGDefIds();
  const { spec: vega } = compile({ padding: 4, ...spec }, { config: configOf(theme) });
  const view = new View(parse(vega), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
