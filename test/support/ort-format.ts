import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';

/** Returns a model in ONNX Runtime's own format (.ort), as onnxruntime-node itself writes it. */
export async function toOrtFormat(model: Uint8Array): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'ort-format-'));
  try {
    const optimizedModelFilePath = join(folder, 'model.ort');
    const extra = { session: { save_model_format: 'ORT' } };
    const session = await ort.InferenceSession.create(model, {
      optimizedModelFilePath,
      extra,
      logSeverityLevel: 3,
    });
    await session.release();
    return new Uint8Array(readFileSync(optimizedModelFilePath));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
