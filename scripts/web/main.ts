/**
 * Builds the page into web/dist. With `serve` it also serves the page on this machine.
 *
 *   npm run web:build
 *   npm run web            on a free port
 *   npm run web -- 8080
 */
import { fileURLToPath } from 'node:url';
import { buildWeb } from './build.js';
import { serve } from './server.js';

const DIST = fileURLToPath(new URL('../../web/dist', import.meta.url));
const [command, port] = process.argv.slice(2);

await buildWeb(DIST);
if (command === 'serve') {
  const { url } = await serve(DIST, { port: Number(port ?? 0) });
  console.log(`The page is at ${url}\nCtrl+C stops the server.`);
} else {
  console.log('Wrote web/dist. Serve it with npm run web, or with any server of static files.');
}
