import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** What the tests of the page do with a browser, whatever drives it. */
export interface Tab {
  /** Evaluates an expression of JavaScript in the page, and waits for its promise. The result goes through JSON. */
  evaluate<Result>(expression: string): Promise<Result>;
  click(selector: string): Promise<void>;
  /** Presses a key, by its name in `KeyboardEvent.key`. */
  press(key: 'Tab' | 'Enter' | 'ArrowRight' | 'Home'): Promise<void>;
  /** Chooses files in a file input. */
  choose(selector: string, ...paths: string[]): Promise<void>;
  /** Drops files on an element, as `DataTransfer` carries them. */
  drop(selector: string, ...paths: string[]): Promise<void>;
  resize(width: number, height: number): Promise<void>;
  /** Errors and warnings on the console, exceptions, and the URLs of all requests. */
  readonly complaints: string[];
  readonly requests: string[];
}

/** Returns an expression of JavaScript that drops files on an element, as a browser does with files of the desktop. */
export async function dropExpression(selector: string, paths: readonly string[]): Promise<string> {
  const files = await Promise.all(
    paths.map(async (path) => [basename(path), (await readFile(path)).toString('base64')]),
  );
  return `(() => {
    const dataTransfer = new DataTransfer();
    for (const [name, base64] of ${JSON.stringify(files)})
      dataTransfer.items.add(new File([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))], name));
    const target = document.querySelector(${JSON.stringify(selector)});
    for (const type of ['dragenter', 'dragover', 'drop'])
      target.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
  })()`;
}
