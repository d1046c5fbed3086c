/** The page as a visitor has it: opened, used, and watched for what it must not do. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import type { Manifest } from '../../web/protocol.js';

/** The longest task is the check of all fixtures. */
const TIMEOUT = 110_000;

/** Leaves every `step`-th fixture in the list of a built page, and returns the list. */
export async function keepFixtures(folder: string, step: number): Promise<Manifest> {
  const path = join(folder, 'fixtures.json');
  const all = JSON.parse(await readFile(path, 'utf8')) as Manifest;
  const manifest = { ...all, fixtures: all.fixtures.filter((_, index) => index % step === 0) };
  await writeFile(path, JSON.stringify(manifest));
  return manifest;
}

export class Visitor {
  /** Errors on the console, exceptions, and requests to other hosts. */
  readonly complaints: string[] = [];

  private constructor(readonly page: Page) {}

  static async open(browser: Browser, url: string): Promise<Visitor> {
    const visitor = new Visitor(await browser.newPage());
    const { page, complaints } = visitor;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('blob:'))
        complaints.push(request.url());
    });
    await page.goto(url);
    await page.locator('html[data-ready]').waitFor({ timeout: TIMEOUT });
    return visitor;
  }

  /** Starts something, and waits until it has ended, as text says it: `Done.` */
  async start(button: string): Promise<string> {
    await this.page.click(button);
    return this.ended();
  }

  async ended(): Promise<string> {
    await this.page.locator('#activity:not([data-busy])').waitFor({ timeout: TIMEOUT });
    return this.text('#progress-text');
  }

  /** The demo does one task after the other. */
  async runDemo(): Promise<string> {
    await this.page.click('#demo');
    await this.page.locator('#verdict').waitFor({ timeout: TIMEOUT });
    expect(await this.ended()).to.equal('Done.');
    return this.text('#verdict');
  }

  /** Runs the page's check of its fixtures to the end. */
  async expectFixturesPass({ fixtures, leftOut }: Manifest): Promise<void> {
    expect(await this.start('#check')).to.equal('Done.');
    const rows = await this.rows('#parity');
    expect(rows.filter(([, result]) => result !== 'passed')).to.deep.equal([]);
    expect(rows).to.have.length(fixtures.length);
    expect(await this.text('#parity-summary')).to.match(
      new RegExp(`^${rows.length} passed, 0 failed, 0 not run\\. ${leftOut.count} cases .* left out`),
    );
  }

  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).textContent({ timeout: TIMEOUT })) ?? '';
  }

  /** A value of one of the lists of names and values. */
  value(place: string, name: string): Promise<string> {
    return this.text(`${place} dt:text-is("${name}") + dd`);
  }

  /** The cells of a table's body. */
  rows(table: string): Promise<string[][]> {
    return this.page.evaluate<string[][]>(
      `[...document.querySelectorAll('${table} tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))`,
    );
  }

  /** Red, green, blue and alpha of a picture. */
  async pixels(title: string): Promise<Uint8Array> {
    const data = await this.page.evaluate<number[]>(`(() => {
      const canvas = document.querySelector('canvas[aria-label^="${title}"]');
      return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
    })()`);
    return Uint8Array.from(data);
  }

  close(): Promise<void> {
    return this.page.close();
  }
}
