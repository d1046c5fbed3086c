/**
 * The service worker: keeps the files of the page, so that the page works without a network after one visit. The network comes
 * first, so that a visitor with a network always has the newest page.
 */

/** The files of the page that are kept at once; all others are kept when they are used. Written by the build. */
declare const FILES: readonly string[];

// The types of service workers contradict those of pages, so the part that is used is declared here.
interface InstallEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Scope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
}
const { registration, clients } = globalThis as unknown as Scope;

const CACHE = `onnx-groupnorm at ${registration.scope}`;

addEventListener('install', (event) => (event as InstallEvent).waitUntil(keepFiles()));
addEventListener('activate', (event) => (event as InstallEvent).waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  const { request } = event as FetchEvent;
  if (request.method === 'GET' && request.url.startsWith(registration.scope))
    (event as FetchEvent).respondWith(answer(request));
});

/** Keeps the files of this version, in place of those of the version before. */
async function keepFiles(): Promise<void> {
  await caches.delete(CACHE);
  await (await caches.open(CACHE)).addAll(FILES);
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}
