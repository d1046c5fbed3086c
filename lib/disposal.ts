/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Gives a class the method that `using` or `await using` calls. An engine without these symbols does without: globals
 * are not patched.
 * @param symbol `Symbol.dispose` or `Symbol.asyncDispose`.
 * @param end What the method does.
 */
export function endsBy<T extends object>(
  prototype: T,
  symbol: symbol | undefined,
  end: (this: T) => unknown,
): void {
  if (symbol === undefined) return;
  Object.defineProperty(prototype, symbol, { value: end, writable: true, configurable: true });
}
