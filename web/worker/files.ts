/** Fetches the files that the build puts beside the page. */
import { decodeFixture, FileError, type Fixture } from '../../lib/browser.js';
import type { Manifest } from '../protocol.js';

const DEMO_FIXTURE = 'demo/unet-cells.safetensors';
const DEMO_IMAGE = 'demo/cells.png';

/** @throws FileError `FILE_UNREADABLE`. */
async function get(path: string): Promise<Response> {
  const response = await fetch(new URL(path, location.href)).catch((cause: unknown) => {
    throw new FileError('FILE_UNREADABLE', `cannot fetch '${path}': is the server still running?`, { cause });
  });
  if (response.ok) return response;
  throw new FileError('FILE_UNREADABLE', `cannot fetch '${path}': the server answers ${response.status}`);
}

export async function fetchFixture(path: string): Promise<Fixture> {
  return decodeFixture(new Uint8Array(await (await get(path)).arrayBuffer()), path);
}

export const fetchDemo = (): Promise<Fixture> => fetchFixture(DEMO_FIXTURE);

export const fetchDemoImage = async (): Promise<Blob> => (await get(DEMO_IMAGE)).blob();

export const fetchManifest = async (): Promise<Manifest> =>
  (await (await get('fixtures.json')).json()) as Manifest;
