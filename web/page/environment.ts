/** Says what this browser offers to the page. */
import { byId } from './dom.js';

const place = byId('environment', HTMLElement);

/** Does not ask WebGPU for a GPU, because that would wake the GPU; the first session asks. */
export function describeEnvironment(): void {
  const threads = crossOriginIsolated
    ? 'This page is cross-origin isolated: WebAssembly may use several threads.'
    : 'This page is not cross-origin isolated: WebAssembly uses one thread.';
  const gpu = 'gpu' in navigator ? 'This browser knows WebGPU.' : 'This browser has no WebGPU.';
  place.textContent = `${threads} ${gpu}`;
}
