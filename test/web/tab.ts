/** What the tests of the page do with a browser, whatever drives it. */
export interface Tab {
  /** Evaluates an expression of JavaScript in the page, and waits for its promise. The result goes through JSON. */
  evaluate<Result>(expression: string): Promise<Result>;
  click(selector: string): Promise<void>;
  /** Presses a key, by its name in `KeyboardEvent.key`. */
  press(key: 'Tab' | 'Enter' | 'ArrowRight' | 'Home'): Promise<void>;
  /** Chooses files in a file input. */
  choose(selector: string, ...paths: string[]): Promise<void>;
  resize(width: number, height: number): Promise<void>;
  /** Errors and warnings on the console, exceptions, and the URLs of all requests. */
  readonly complaints: string[];
  readonly requests: string[];
}
