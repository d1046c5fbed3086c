/** What this browser lets the page use. */
import { byId } from './dom.js';

const place = byId('environment', HTMLElement);

/** Whether there is a GPU behind WebGPU is found out when it is first asked for: to ask is to wake it. */
export function describeEnvironment(): void {
  const threads = crossOriginIsolated
    ? 'This page is cross-origin isolated: WebAssembly may use several threads.'
    : 'This page is not cross-origin isolated: WebAssembly uses one thread.';
  const gpu = 'gpu' in navigator ? 'This browser knows WebGPU.' : 'This browser has no WebGPU.';
  place.textContent = `${threads} ${gpu}`;
}
