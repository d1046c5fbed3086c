/** README.md and docs/: their length, their links, and the codes of errors. docs-blocks.matrix.ts runs their programs. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { blocksOf, withoutCode, wordsOf } from './support/markdown.js';

const GUIDES = readdirSync('docs').filter((name) => name.endsWith('.md'));
const PAGES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...GUIDES.map((name) => `docs/${name}`)];

/** The anchors of a page, as GitHub makes them of headings. */
function anchorsOf(path: string): Set<string> {
  const headings = withoutCode(readFileSync(path, 'utf8')).matchAll(/^#+ (.+)$/gm);
  return new Set(
    Array.from(headings, ([, heading]) =>
      heading!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The links of a page to files, such as `../README.md#build`; the page itself is the empty path. */
function linksOf(path: string): string[] {
  const links = withoutCode(readFileSync(path, 'utf8')).matchAll(/(?:\]\(|(?:src|srcset|href)=")([^)"\s]+)/g);
  return Array.from(links, ([, link]) => link!).filter((link) => !/^\w+:/.test(link));
}

/** The codes of each class of errors, as lib/errors.ts declares them. */
function codesOf(source: string): Record<string, string[]> {
  const types = source.matchAll(/export type (\w+Error)Code =([^;]+);/g);
  const inline = source.matchAll(/class (\w+Error) extends CodedError<('\w+')>/g);
  return Object.fromEntries(
    [...types, ...inline].map(([, name, union]) => [name!, (union!.match(/\w+/g) ?? []).sort()]),
  );
}

describe('README.md and docs/', () => {
  it('README.md has at most 700 words besides its code', () => {
    expect(wordsOf('README.md')).to.be.within(300, 700);
  });

  it('docs/index.md lists every guide once', () => {
    const listed = readFileSync('docs/index.md', 'utf8').matchAll(/^\| \[.+?\]\((\S+?)\)/gm);
    expect(Array.from(listed, ([, name]) => name).sort()).to.deep.equal(
      GUIDES.filter((name) => name !== 'index.md').sort(),
    );
  });

  for (const page of PAGES) {
    it(`every link of ${page} leads to a file, and to a heading of it`, () => {
      const dead = linksOf(page).filter((link) => {
        const [file, anchor] = link.split('#') as [string, string?];
        const path = file === '' ? page : join(dirname(page), file);
        return !existsSync(path) || (anchor !== undefined && !anchorsOf(path).has(anchor));
      });
      expect(dead).to.deep.equal([]);
    });
  }

  it('CONTRIBUTING.md has a row for every folder of lib and scripts', () => {
    const foldersIn = (folder: string) =>
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => `${folder}/${name}/`);
    const listed = readFileSync('CONTRIBUTING.md', 'utf8');
    const folders = ['lib', 'lib/runtime', 'lib/insight', 'scripts'].flatMap(foldersIn);
    expect(folders.filter((folder) => !listed.includes(`| \`${folder}\` `))).to.deep.equal([]);
  });

  it('README.md links only to files that are in the package', () => {
    const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] };
    expect(files).to.include.members(['docs/*.md', 'docs/plots/*.svg']);
    for (const link of linksOf('README.md'))
      expect(link).to.match(/^(?:LICENSE|docs\/[\w-]+\.md|docs\/plots\/[\w-]+\.svg)(?:#|$)/);
  });

  it('every block of README.md and docs/ names its language, or is what a program prints', () => {
    const unknown = ['README.md', ...GUIDES.map((name) => `docs/${name}`)]
      .flatMap(blocksOf)
      .filter(
        ({ language, note }) =>
          note?.kind !== 'not run' && !/^(|set-up|sh|[cm]?[jt]s|json|yaml)$/.test(language),
      )
      .map(({ place }) => place);
    expect(unknown).to.deep.equal([]);
  });

  it('docs/troubleshooting.md has every code of every class of errors, and no other', () => {
    const page = readFileSync('docs/troubleshooting.md', 'utf8');
    const sections = page.split(/^### /m).slice(1);
    const listed = sections.map((section) => {
      const codes = Array.from(section.matchAll(/^\| `(\w+)` /gm), ([, code]) => code!);
      return [section.split('\n')[0]!, codes] as const;
    });
    expect(Object.fromEntries(listed)).to.deep.equal(codesOf(readFileSync('lib/errors.ts', 'utf8')));
  });
});
