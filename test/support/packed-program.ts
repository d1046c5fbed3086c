/** Runs what the package's entries export. packed-package.ts copies this file into a project that has installed it. */
import { createSession, encodeModel, getGraph, initializeWeights, tensor } from 'onnx-groupnorm';
import onnxMatchers from 'onnx-groupnorm/chai';
import { decodePng, encodePng, type Image } from 'onnx-groupnorm/images';
import { conv } from 'onnx-groupnorm/layers';

const graph = getGraph('group-norm').build({ numGroups: 8, numChannels: 32 });
await using session = await createSession(encodeModel(graph, initializeWeights(graph), { opset: 21 }));
const data = Float32Array.from({ length: 2048 }, (_, i) => 1000 + Math.sin(i));
const { y } = await session.run({ x: tensor('float32', [1, 32, 8, 8], data) });
const row: number[] = [...(y!.data as Float32Array).subarray(0, 256)];
const mean = row.reduce((sum, v) => sum + v) / 256;
const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 256;
const isNormal = Math.abs(mean) < 1e-5 && Math.abs(variance - 1) < 1e-3;
const image: Image = { width: 2, height: 1, channels: 1, samples: Uint8Array.of(0, 255), max: 255 };
const pixels = [...decodePng(encodePng(image)).samples];
// The plugin loads where chai is not installed.
const functions = [typeof onnxMatchers, typeof conv];
console.log(JSON.stringify([y!.dims, isNormal, pixels, functions, session.provider, session.groupNorm]));
