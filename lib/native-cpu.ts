/**
 * `import 'onnx-groupnorm/native-cpu'` gives code that uses ONNX Runtime's own interface the native kernel:
 * `ort.InferenceSession.create(model, { executionProviders: ['native-cpu'] })`.
 */
import { registerNativeCpu } from './runtime/native-cpu.js';

await registerNativeCpu();
