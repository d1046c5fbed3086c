import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { DEFAULT_LIMITS } from '../lib/limits.js';

describe('docs/security.md', () => {
  it('docs/security.md lists every limit with its default', () => {
    const page = readFileSync(new URL('../docs/security.md', import.meta.url), 'utf8');
    const rows = page.matchAll(/^\| `(\w+)` +\| +([\d,]+) /gm);
    const listed = new Map(Array.from(rows, ([, name, value]) => [name, Number(value?.replaceAll(',', ''))]));
    expect(listed).to.deep.equal(new Map(Object.entries(DEFAULT_LIMITS)));
  });
});
