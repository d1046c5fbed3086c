/** Apart from what reads it: a declaration that reaches ONNX's messages does not compile at users without their types. */
import type { TensorData } from '../tensor.js';

/** One data set of an existing model, as ONNX lays out its own tests: what the model is fed, and what it is to give. */
export interface TestDataSet {
  /** Path of its folder, `test_data_set_0`. */
  readonly file: string;
  /** Path of the model: `model.onnx`, beside the folder. */
  readonly model: string;
  /** Of the model's default ONNX domain; 0 if it does not import that. */
  readonly opset: number;
  /** By the model's names. */
  readonly inputs: ReadonlyMap<string, TensorData>;
  /** What the framework made of them, by the model's names. */
  readonly outputs: ReadonlyMap<string, TensorData>;
}
