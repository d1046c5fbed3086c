/**
 * The entry `onnx-groupnorm/native-cpu`: importing it registers the native kernel with ONNX Runtime's own interface,
 * `ort.InferenceSession.create(model, { executionProviders: ['native-cpu', 'cpu'] })`.
 * @module onnx-groupnorm/native-cpu
 */
import { installedRegistries, registerNativeCpu } from './runtime/native-cpu.js';

for (const ort of installedRegistries()) registerNativeCpu(ort);

export { registerNativeCpu, type OnnxRuntimeModule } from './runtime/native-cpu.js';
