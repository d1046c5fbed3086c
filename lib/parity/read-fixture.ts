/** Fixtures on disk. */
import { openSafetensors } from '../weights/safetensors-file.js';
import { toFixture, type Fixture } from './fixture.js';

/**
 * Reads a fixture: a `.safetensors` file with `input.*`, `state_dict.*`, `output.*` and optionally `truth.*`,
 * and `graph`, `options` and `framework` in its metadata. With `weights` = `counter` and a `seed` there, the
 * parameters are those of `counterWeights`, and it has no `state_dict.*`.
 * @throws FileError or WeightsError if the file cannot be read, ParityError `FIXTURE_INVALID` if it is not a fixture.
 */
export async function readFixture(path: string): Promise<Fixture> {
  const file = await openSafetensors(path);
  try {
    return toFixture({ metadata: file.metadata, tensors: await file.readAll() }, path);
  } finally {
    await file.close();
  }
}
