import type { TensorData } from '../tensor.js';
import { openSafetensors } from '../weights/safetensors-file.js';

/** The parts of a parity fixture. */
const FIXTURE_KEY = /^(input|state_dict|output|truth)\./;
const PREFIX = 'state_dict.';

/**
 * The state_dict of a `.safetensors` file: all of its tensors, or of a parity fixture those under `state_dict.`.
 * @throws FileError or WeightsError if the file cannot be read.
 */
export async function readStateDict(path: string): Promise<Map<string, TensorData>> {
  const file = await openSafetensors(path);
  try {
    const keys = file.keys();
    const isFixture =
      keys.some((key) => key.startsWith(PREFIX)) || keys.every((key) => FIXTURE_KEY.test(key));
    const result = new Map<string, TensorData>();
    for (const key of keys) {
      if (!isFixture) result.set(key, await file.read(key));
      else if (key.startsWith(PREFIX)) result.set(key.slice(PREFIX.length), await file.read(key));
    }
    return result;
  } finally {
    await file.close();
  }
}
