/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Makes `using` or `await using` call a method of a class. An engine without these symbols does without: globals are
 * not patched.
 * @param symbol `Symbol.dispose` or `Symbol.asyncDispose`.
 */
export function endsBy<T extends object>(prototype: T, symbol: symbol | undefined, method: keyof T): void {
  if (symbol === undefined) return;
  Object.defineProperty(prototype, symbol, { value: prototype[method], writable: true, configurable: true });
}
