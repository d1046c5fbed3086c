import { mkdir, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { checkSite } from '../../../scripts/docs/check-site.js';
import { temporaryFolder } from '../../support/temporary.js';

describe('checkSite', () => {
  const at = temporaryFolder();

  async function problemsOf(pages: Readonly<Record<string, string>>): Promise<string[]> {
    await mkdir(at('docs'));
    for (const [name, text] of Object.entries(pages)) await writeFile(at(name), text);
    return checkSite(at());
  }

  it('checkSite accepts links to pages, anchors, folders with an index, and other hosts', async () => {
    const problems = await problemsOf({
      'index.html':
        '<h1 id="why-&amp;-how">x</h1><a href="docs/a.html#b">a</a><a href="https://example.org">e</a>',
      'docs/a.html':
        '<p id="b">b</p><a href="../">up</a><a href="../#why-&amp;-how">up</a><a href="#b">b</a>',
    });
    expect(problems).to.deep.equal([]);
  });

  it('checkSite names the page and the address of a link to a missing page or anchor', async () => {
    const problems = await problemsOf({
      'index.html': '<a class="x" href="docs/gone.html">gone</a><img src="docs/gone.svg" alt="">',
      'docs/a.html': '<a href="../index.html#gone">gone</a>',
    });
    expect(problems).to.have.members([
      'index.html: the link has no target: docs/gone.html',
      'index.html: the link has no target: docs/gone.svg',
      'docs/a.html: the page has no such anchor: ../index.html#gone',
    ]);
  });

  it('checkSite names what a page or a style loads from another host', async () => {
    const problems = await problemsOf({
      'index.html': '<script src="https://cdn.example/a.js"></script><link href="//fonts.example/f.css">',
      'a.css': "@import 'https://fonts.example/f.css'; p { background: url(data:image/png;base64,AA==) }",
    });
    expect(problems).to.have.members([
      'index.html: the page loads a file from another host: https://cdn.example/a.js',
      'index.html: the page loads a file from another host: //fonts.example/f.css',
      'a.css: the page loads a file from another host: https://fonts.example/f.css',
    ]);
  });
});
