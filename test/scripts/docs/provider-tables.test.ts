import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { withTables } from '../../../scripts/docs/provider-tables.js';

const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url));

describe('docs/providers.md', () => {
  it('docs/providers.md has the tables of docs/providers/*.json, and how GroupNormalization runs by default', async () => {
    const page = readFileSync(`${DOCS}providers.md`, 'utf8');
    expect(await withTables(page, `${DOCS}providers/`)).to.equal(page);
  });
});
