/** Says what this browser offers to the page. */
import { byId, element } from './dom.js';

/** Does not ask WebGPU for a GPU, because that would wake the GPU; the first session asks. */
export function describeEnvironment(): void {
  const place = byId('environment', HTMLDetailsElement);
  const gpu = 'gpu' in navigator ? 'This browser has WebGPU.' : 'This browser has no WebGPU.';
  place.querySelector('summary')!.textContent = crossOriginIsolated
    ? `WebAssembly may use several threads here. ${gpu}`
    : `WebAssembly uses one thread here: more need a server that sends two headers. ${gpu}`;
  place.append(
    element('p', {
      textContent: crossOriginIsolated
        ? 'The server of this page sends the two headers that browsers ask for before threads may share memory:'
        : 'Browsers let threads share memory only if the server of the page sends these headers, over https or on this machine:',
    }),
    element('pre', {
      textContent: 'Cross-Origin-Opener-Policy: same-origin\nCross-Origin-Embedder-Policy: require-corp',
    }),
  );
  void workOffline().then((works) => {
    if (!works) return;
    place.append(element('p', { textContent: 'From now on the page also works without a network.' }));
    document.documentElement.dataset['offline'] = 'true';
  });
}

/** Keeps the files of the page in the browser. Returns whether they are kept: browsers ask for https, or for localhost. */
async function workOffline(): Promise<boolean> {
  if (!('serviceWorker' in navigator)) return false;
  try {
    await navigator.serviceWorker.register('offline.js');
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false;
  }
}
