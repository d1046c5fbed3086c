/** Drives the system's own Firefox by WebDriver BiDi: https://w3c.github.io/webdriver-bidi. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findBrowser } from './find-browser.js';
import { dropExpression, type Tab } from './tab.js';

const FIREFOX = findBrowser('FIREFOX_PATH', ['firefox-esr', 'firefox']);

/** The part of the web's WebSocket that is used. Node 20 has it with --experimental-websocket. */
interface Socket {
  onopen: (() => void) | null;
  onerror: (() => void) | null;
  onmessage: ((event: { readonly data: string }) => void) | null;
  send(text: string): void;
  close(): void;
}
const { WebSocket } = globalThis as unknown as { readonly WebSocket?: new (url: string) => Socket };

/** Why tests in Firefox cannot run; `undefined` if they can. */
export const NO_FIREFOX =
  FIREFOX === undefined
    ? 'firefox-esr and firefox are not in PATH, and FIREFOX_PATH is not set (Debian: apt-get install firefox-esr)'
    : WebSocket === undefined
      ? 'this Node has no WebSocket (node --experimental-websocket)'
      : undefined;

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: {
    readonly level?: string;
    readonly text?: string;
    readonly request?: { readonly url: string };
  };
  readonly result?: unknown;
  readonly error?: string;
  readonly message?: string;
}

/** Numbers of Unicode's private area that stand for keys. Source: the table of WebDriver. */
const KEYS = { Tab: '\uE004', Enter: '\uE007', ArrowRight: '\uE014', Home: '\uE011' };

export class Firefox {
  readonly #waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #onEvent: (event: Answer) => void = () => undefined;
  #id = 0;

  private constructor(
    readonly process: ChildProcess,
    readonly profile: string,
    readonly socket: Socket,
  ) {
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data) as Answer);
  }

  /** Starts Firefox with a new profile, which prefers a dark scheme and asks no server for anything. */
  static async launch(): Promise<Firefox> {
    const profile = await mkdtemp(join(tmpdir(), 'firefox-'));
    const preferences = {
      'layout.css.prefers-color-scheme.content-override': 0,
      'app.update.enabled': false,
      'browser.shell.checkDefaultBrowser': false,
      'datareporting.policy.dataSubmissionEnabled': false,
      'toolkit.telemetry.enabled': false,
      'remote.active-protocols': 1,
    };
    const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${value});`);
    await writeFile(join(profile, 'user.js'), lines.join('\n'));
    const args = [
      '--headless',
      '--no-remote',
      '--profile',
      profile,
      '--remote-debugging-port',
      '0',
      'about:blank',
    ];
    const process = spawn(FIREFOX!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const socket = new WebSocket!(`${await addressOf(process)}/session`);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error('Firefox does not take a WebSocket'));
    });
    const firefox = new Firefox(process, profile, socket);
    await firefox.send('session.new', { capabilities: {} });
    await firefox.send('session.subscribe', { events: ['log.entryAdded', 'network.beforeRequestSent'] });
    return firefox;
  }

  send<Result>(method: string, params: object): Promise<Result> {
    const id = ++this.#id;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise<Result>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #receive(answer: Answer): void {
    const waiting = answer.id === undefined ? undefined : this.#waiting.get(answer.id);
    if (!waiting) return this.#onEvent(answer);
    this.#waiting.delete(answer.id!);
    if (answer.error === undefined) waiting.resolve(answer.result as never);
    else waiting.reject(new Error(`${answer.error}: ${answer.message}`));
  }

  async open(url: string): Promise<Tab> {
    const { context } = await this.send<{ context: string }>('browsingContext.create', { type: 'tab' });
    const complaints: string[] = [];
    const requests: string[] = [];
    this.#onEvent = ({ method, params }) => {
      if (method === 'network.beforeRequestSent') requests.push(params!.request!.url);
      else if (['error', 'warn'].includes(params?.level ?? '')) complaints.push(params!.text!);
    };
    await this.send('browsingContext.navigate', { context, url, wait: 'complete' });
    type Evaluated = { exceptionDetails?: { text: string }; result: { value: string; sharedId: string } };
    const evaluateRaw = async (expression: string) => {
      const given = { expression, target: { context }, awaitPromise: true };
      const { exceptionDetails, result } = await this.send<Evaluated>('script.evaluate', given);
      if (exceptionDetails) throw new Error(`${exceptionDetails.text} in ${expression}`);
      return result;
    };
    const evaluate = async <Result>(expression: string): Promise<Result> => {
      const { value } = await evaluateRaw(
        `Promise.resolve(${expression}).then((one) => JSON.stringify(one) ?? 'null')`,
      );
      return JSON.parse(value) as Result;
    };
    return {
      evaluate,
      complaints,
      requests,
      click: (selector) => evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`),
      press: async (key) => {
        const actions = ['keyDown', 'keyUp'].map((type) => ({ type, value: KEYS[key] }));
        await this.send('input.performActions', { context, actions: [{ type: 'key', id: 'keys', actions }] });
      },
      choose: async (selector, ...files) => {
        const { sharedId } = await evaluateRaw(`document.querySelector(${JSON.stringify(selector)})`);
        await this.send('input.setFiles', { context, element: { sharedId }, files });
      },
      drop: async (selector, ...paths) => evaluate(await dropExpression(selector, paths)),
      resize: async (width, height) => {
        await this.send('browsingContext.setViewport', { context, viewport: { width, height } });
      },
    };
  }

  async close(): Promise<void> {
    const ended = once(this.process, 'exit');
    this.socket.close();
    this.process.kill('SIGKILL');
    await ended;
    await rm(this.profile, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Waits for the line in which Firefox says where it listens. */
async function addressOf({ stderr }: ChildProcess): Promise<string> {
  for await (const line of createInterface(stderr!)) {
    const found = /WebDriver BiDi listening on (ws:\S+)/.exec(line);
    if (found) {
      stderr!.resume();
      return found[1]!;
    }
  }
  throw new Error('Firefox has ended before it listened');
}
