/** Writes the figures of README and docs: `npm run docs:figures`. */
import { writeFileSync } from 'node:fs';
import { fillFigures, PAGES, pathOf, readPage } from './figures.js';

for (const page of PAGES) writeFileSync(pathOf(page), fillFigures(readPage(page)));
