/**
 * Builds the page and serves it on this machine.
 *
 *   npm run web            on a port that is free
 *   npm run web -- 8080
 */
import { fileURLToPath } from 'node:url';
import { buildWeb } from './build-web.js';
import { serve } from './web-server.js';

const DIST = fileURLToPath(new URL('../web/dist', import.meta.url));
const port = Number(process.argv[2] ?? 0);

await buildWeb(DIST);
const { url } = await serve(DIST, { port });
console.log(`The page is at ${url}\nCtrl+C ends it.`);
