/** Operators by which the samples of a batch influence each other a little, so that no comparison of results shows it. */
import { operatorName, readOutline } from '../../onnx/graph/outline.js';
import { readModelFile } from '../../onnx/write.js';
import { isOrtFormat } from '../../runtime/model/ort-format.js';

/** Each takes one scale for all elements of its input. */
const OPERATORS = [
  'DynamicQuantizeLinear',
  'com.microsoft.DynamicQuantizeMatMul',
  'com.microsoft.DynamicQuantizeLSTM',
];

/**
 * Says why requests to a model must not be joined, by its operators; `undefined` if they may be.
 * @param path A model that a session has loaded, so that its limits are checked.
 */
export async function whyNotJoined(path: string): Promise<string | undefined> {
  const bytes = await readModelFile(path);
  if (isOrtFormat(bytes)) return undefined;
  const names = new Set<string>();
  readOutline(bytes, ({ domain, opType }) => names.add(operatorName(domain, opType)));
  const found = OPERATORS.find((name) => names.has(name));
  return (
    found &&
    `the operator ${found} quantizes all samples of a batch with one scale, so that they influence each other`
  );
}
