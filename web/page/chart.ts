/** Draws times as bars: the median, with a line from the first to the third quartile. */
import { BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, Tooltip } from 'chart.js';
import type { TimingsResult } from '../protocol.js';

Chart.register(BarController, BarElement, CategoryScale, Legend, LinearScale, Tooltip);

const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function drawTimings(canvas: HTMLCanvasElement, { lowerings }: TimingsResult): Chart {
  const [ink, line] = [colour('--ink'), colour('--line')];
  return new Chart(canvas, {
    type: 'bar',
    data: {
      labels: lowerings.map(({ name }) => name),
      datasets: [
        {
          label: 'quartiles',
          data: lowerings.map(({ milliseconds: { low, high } }): [number, number] => [low, high]),
          backgroundColor: ink,
          barThickness: 3,
        },
        {
          label: 'median',
          data: lowerings.map(({ milliseconds: { median } }): [number, number] => [0, median]),
          backgroundColor: colour('--accent'),
          maxBarThickness: 32,
        },
      ],
    },
    options: {
      indexAxis: 'y',
      animation: false,
      maintainAspectRatio: false,
      datasets: { bar: { grouped: false } },
      scales: {
        x: {
          beginAtZero: true,
          title: { display: true, text: 'milliseconds per call', color: ink },
          ticks: { color: ink },
          grid: { color: line },
        },
        y: { ticks: { color: ink }, grid: { display: false } },
      },
      plugins: { legend: { labels: { color: ink } } },
    },
  });
}
