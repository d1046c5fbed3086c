/** Requires the package's entries. packed-package.ts copies this file into a project that has installed the package. */
import groupNorm = require('onnx-groupnorm');
import images = require('onnx-groupnorm/images');
import nativeCpu = require('onnx-groupnorm/native-cpu');

const image: images.Image = { width: 1, height: 1, channels: 1, samples: Uint8Array.of(7), max: 255 };
const pixels = [...images.decodePng(images.encodePng(image)).samples];
const y: groupNorm.TensorData = groupNorm.tensor('float32', [1], Float32Array.of(2));
void import('onnx-groupnorm').then((imported) => {
  const isSame = imported.OnnxGroupNormError === groupNorm.OnnxGroupNormError;
  console.log(JSON.stringify([isSame, typeof nativeCpu.registerNativeCpu, pixels, y.data[0]]));
});
