/** The files of a report. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { writeFilesAtomic } from '../../lib/files/atomic.js';
import { slug } from './device.js';
import { renderReport } from './render.js';
import type { DeviceReport } from './report.js';

const README = fileURLToPath(new URL('../../README.md', import.meta.url));

/**
 * Writes both files or neither. What is not all of what there is to check has a name of its own, so that it does not
 * replace a report that is; that report replaces it.
 * @returns The path of the Markdown.
 */
export async function writeReport(report: DeviceReport, folder: string): Promise<string> {
  const whole = join(folder, `${report.provider}-${slug(report.device.name)}`);
  const partial = `${whole}.partial`;
  const isWhole = report.complete && report.narrowedBy.length === 0;
  const base = isWhole ? whole : partial;
  const options = { ...(await resolveConfig(README)), parser: 'markdown' };
  const markdown = await format(renderReport(report), options);
  await writeFilesAtomic([
    { path: `${base}.json`, content: Buffer.from(`${JSON.stringify(report, null, 2)}\n`) },
    { path: `${base}.md`, content: Buffer.from(markdown) },
  ]);
  if (isWhole) for (const end of ['json', 'md']) await rm(`${partial}.${end}`, { force: true });
  return `${base}.md`;
}
