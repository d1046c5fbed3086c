/**
 * The peer of `bench:serve`: onnxruntime-node in a handler of fastify, as people write it. The body is a float32 tensor, and so is
 * the answer.
 *
 *   node bench/serve-fastify.mjs model.onnx 3,224,224
 */
import fastify from 'fastify';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [path, sizes] = process.argv.slice(2);
const dims = [1, ...sizes.split(',').map(Number)];
const session = await InferenceSession.create(path);
const [input] = session.inputNames;
const [output] = session.outputNames;

const app = fastify({ bodyLimit: 64 * 2 ** 20 });
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (request, body, done) =>
  done(null, body),
);
app.post('/infer', async ({ body }, reply) => {
  const data = new Float32Array(body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength));
  const results = await session.run({ [input]: new Tensor('float32', data, dims) });
  const { buffer, byteOffset, byteLength } = results[output].data;
  return reply.type('application/octet-stream').send(Buffer.from(buffer, byteOffset, byteLength));
});
console.log(await app.listen({ port: 0, host: '127.0.0.1' }));
