/**
 * The entry `onnx-groupnorm/native-cpu`: importing it registers the native kernel with ONNX Runtime's own interface,
 * `ort.InferenceSession.create(model, { executionProviders: ['native-cpu'] })`.
 */
import { registerNativeCpu } from './runtime/native-cpu.js';

await registerNativeCpu();
