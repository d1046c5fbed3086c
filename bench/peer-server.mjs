// A server as people write it: fastify and onnxruntime-node. Arguments: the model, and the shape of its input.
import Fastify from 'fastify';
import * as ort from 'onnxruntime-node';

const [model, shape] = process.argv.slice(2);
const session = await ort.InferenceSession.create(model);
const dims = shape.split('x').map(Number);
const app = Fastify({ bodyLimit: 64 * 2 ** 20 });

app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (request, body, done) =>
  done(null, body),
);

app.post('/infer', async (request, reply) => {
  const bytes = new Uint8Array(request.body);
  const x = new ort.Tensor('float32', new Float32Array(bytes.buffer), dims);
  const { y } = await session.run({ x });
  reply.header('content-type', 'application/octet-stream');
  return Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength);
});

console.log(await app.listen({ port: 0, host: '127.0.0.1' }));
