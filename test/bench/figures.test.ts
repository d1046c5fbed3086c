/** The figures of README, docs and messages, against the reports of the benchmarks. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import ts from 'typescript';
import { fillFigures, PAGES, readPage } from '../../scripts/docs/figures.js';
import { withoutCode } from '../support/markdown.js';

/** What docs/providers.md has after this comment is made of docs/providers: test/scripts/docs/provider-tables.test.ts compares both. */
const GENERATED = /<!-- npm run docs:providers[\s\S]*/;
/** A number with a unit of speed or time, or a small error. */
const MEASUREMENT =
  /(?<![\w.×])\d[\d.,]* ?(?:ms|µs|×(?! ?\d)|times|requests\/s|[kMG]?B\/s)(?!\w)|(?<![\w.])\d(?:\.\d+)?e-\d+/g;
/** Numbers like these that are not measured: tolerances, limits and rules. */
const NOT_MEASURED = [
  /float64 model that has one is exact to 1e-7 there, and not to 1e-15/,
  /\(1e-5 \+ 1\.3e-6 · \\\|expected\\\|\)/,
  /size 6e-8 · mean² is an error of 6e-8 · \(mean ÷ deviation\)²/,
  /^\| (?:float64|float32|float16|bfloat16) .*e-\d+.*$/m,
  /`--rtol 1e-3 --atol 1e-7`/,
  /at most 64 MiB and 8 times the bytes of the file/,
  /slices of 2 ms/,
  /than 4 times the distance without optimizations, and than 2e-6 of the output's root mean square/,
  /at an epsilon of 1e-12/,
];

/** Such numbers of messages and help. */
const NOT_MEASURED_IN_MESSAGES = [
  /--(?:rtol|atol|eps)\s\S+/g,
  /such as 1e-5/g,
  /^up to 100? times$/g,
  /4 × the model/g,
];

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const sourcesIn = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('dist'))
    .map((name) => join(folder, name));

/** Returns the literal texts of a source. */
function textsOf(path: string): string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node))
      texts.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, readFileSync(join(ROOT, path), 'utf8'), ts.ScriptTarget.Latest));
  return texts;
}

/** Leaves out how tables are aligned and lines are broken: `npm run lint` checks that by prettier. */
const unaligned = (markdown: string): string =>
  markdown
    .replaceAll(/(?<=\|) *:?-+:? *(?=\|)/g, '-')
    .replaceAll(/\s*\|\s*/g, '|')
    .replaceAll(/\s+/g, ' ');

describe('figures of the docs', () => {
  for (const page of PAGES) {
    it(`${page} has the figures of the reports in docs/plots`, () => {
      const text = readPage(page);
      expect(unaligned(text), 'npm run docs:figures writes them').to.equal(unaligned(fillFigures(text)));
    });
  }

  it('a measurement in README and docs comes from a report: it stands between the comments of its figures', () => {
    const texts = PAGES.map((page) => [page, withoutCode(readPage(page).replace(GENERATED, ''))] as const);
    for (const known of NOT_MEASURED)
      expect(
        texts.some(([, text]) => known.test(text)),
        String(known),
      ).to.be.true;
    const typed = texts.flatMap(([page, text]) => {
      const rest = NOT_MEASURED.reduce(
        (shorter, known) => shorter.replaceAll(new RegExp(known, 'gm'), ''),
        text.replaceAll(/<!-- figures:[\s\S]*?<!-- end -->/g, ''),
      );
      return Array.from(rest.matchAll(MEASUREMENT), ([figure]) => `${page}: ${figure}`);
    });
    expect(typed).to.deep.equal([]);
  });

  it('messages and help have no measurement: no report would keep it right', () => {
    const typed = ['lib', 'graphs', 'web'].flatMap(sourcesIn).flatMap((path) =>
      textsOf(path).flatMap((text) => {
        const rest = NOT_MEASURED_IN_MESSAGES.reduce((shorter, known) => shorter.replaceAll(known, ''), text);
        return Array.from(rest.matchAll(MEASUREMENT), ([figure]) => `${path}: ${figure} in '${text}'`);
      }),
    );
    expect(typed).to.deep.equal([]);
  });

  it('a comment that names other figures, or that has no end, is an error', () => {
    expect(() => fillFigures('<!-- figures: no.such -->1<!-- end -->')).to.throw("no figures 'no.such'");
    expect(() => fillFigures('<!-- figures: price.table -->')).to.throw('does not have its <!-- end -->');
    expect(() => fillFigures('<!-- figures: group-norm.ms 1x1x1x1 native -->1<!-- end -->')).to.throw(
      "does not have 1x1x1x1, 'native'",
    );
  });
});
