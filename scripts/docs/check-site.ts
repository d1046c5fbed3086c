/** Checks a folder of HTML pages: every link has a target, and no page loads anything from another host. */
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';

/** One `href` or `src` of a page. */
interface Reference {
  readonly tag: string;
  readonly url: string;
}

const HAS_SCHEME = /^[a-z][a-z\d+.-]*:|^\/\//i;
/** What a reader follows. Other references are loaded with the page. */
const IS_FOLLOWED = ['a', 'area'];

const INDEX = 'index.html';

/** Returns a sentence for each link without a target, and for each file that a page loads from another host. */
export async function checkSite(folder: string): Promise<string[]> {
  const files = new Set((await readdir(folder, { recursive: true })).map((path) => resolve(folder, path)));
  const pages = new Map<string, string>();
  for (const file of files) {
    if (/\.(?:html|css)$/.test(file)) pages.set(file, await readFile(file, 'utf8'));
  }
  const anchors = new Map(Array.from(pages, ([file, text]) => [file, anchorsOf(text)]));
  const problems: string[] = [];
  for (const [file, text] of pages) {
    const references = file.endsWith('.css') ? urlsOf(text) : referencesOf(text);
    for (const { tag, url } of references) {
      const complain = (what: string) => problems.push(`${relative(folder, file)}: ${what}: ${url}`);
      if (url.startsWith('data:')) continue;
      if (HAS_SCHEME.test(url)) {
        if (!IS_FOLLOWED.includes(tag)) complain('the page loads a file from another host');
        continue;
      }
      const [path = '', anchor] = decodeURI(url).split('#');
      const named = path === '' ? file : resolve(dirname(file), path.replace(/\?.*$/, ''));
      const target = files.has(join(named, INDEX)) ? join(named, INDEX) : named;
      if (!files.has(target)) complain('the link has no target');
      else if (anchor && anchors.get(target)?.has(anchor) === false) complain('the page has no such anchor');
    }
  }
  return problems;
}

const referencesOf = (html: string): Reference[] =>
  Array.from(
    html.matchAll(/<([a-z]+)\s[^>]*?\b(?:href|src|srcset|xlink:href)="([^"]*)"/gi),
    ([, tag, url]) => ({
      tag: tag!.toLowerCase(),
      url: unescapeHtml(url!),
    }),
  );

const urlsOf = (css: string): Reference[] =>
  Array.from(css.matchAll(/url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)/gi), ([, url, imported]) => ({
    tag: 'style',
    url: (url ?? imported)!,
  }));

const anchorsOf = (html: string): Set<string> =>
  new Set(Array.from(html.matchAll(/\s(?:id|name)="([^"]+)"/g), ([, id]) => unescapeHtml(id!)));

const unescapeHtml = (text: string): string =>
  text.replace(/&(?:quot|#39|lt|gt|amp);/g, (entity) => ENTITIES[entity]!);
const ENTITIES: Readonly<Record<string, string>> = {
  '&quot;': '"',
  '&#39;': "'",
  '&lt;': '<',
  '&gt;': '>',
  '&amp;': '&',
};
