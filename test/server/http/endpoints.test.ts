import { expect } from 'chai';
import { describe, it } from 'mocha';
import { writeFile } from 'node:fs/promises';
import { createServer } from '../../../lib/server/index.js';
import { rejection } from '../../support/temporary.js';
import { serverOf, squareRequest } from './support.js';

const json = async (answer: Response): Promise<unknown> => ({
  status: answer.status,
  body: await answer.json(),
});

describe('the endpoints of a server', () => {
  const { get, infer, server, folder } = serverOf(['square', 'copy-text'], {
    serving: { maxBatchSize: 8, maxQueueDelay: 1.5 },
  });

  it('the server says that it is alive and ready, and which extensions it keeps', async () => {
    expect(await json(await get('/v2/health/live'))).to.deep.equal({ status: 200, body: { live: true } });
    expect(await json(await get('/v2/health/ready'))).to.deep.equal({ status: 200, body: { ready: true } });
    const { body } = (await json(await get('/v2'))) as { body: Record<string, unknown> };
    expect(body).to.include({ name: 'onnx-groupnorm' });
    expect(body.version).to.match(/^\d+\.\d+\.\d+/);
    expect(body.extensions).to.deep.equal([
      'binary_tensor_data',
      'parameters',
      'statistics',
      'model_configuration',
      'model_repository',
    ]);
  });

  it('a model has metadata, a configuration and readiness, with and without its version', async () => {
    for (const path of ['/v2/models/square', '/v2/models/square/versions/1']) {
      expect(await json(await get(path))).to.deep.equal({
        status: 200,
        body: {
          name: 'square',
          versions: ['1'],
          platform: 'onnxruntime_onnx',
          inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
          outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
        },
      });
      expect(await json(await get(`${path}/ready`))).to.deep.equal({
        status: 200,
        body: { name: 'square', ready: true },
      });
      const { body } = (await json(await get(`${path}/config`))) as { body: Record<string, unknown> };
      expect(body).to.deep.include({
        name: 'square',
        platform: 'onnxruntime_onnx',
        max_batch_size: 8,
        input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [4], optional: false }],
        output: [{ name: 'y', data_type: 'TYPE_FP32', dims: [4] }],
      });
      expect(body.dynamic_batching).to.include({ max_queue_delay_microseconds: 1500 });
    }
    const { body } = (await json(await get('/v2/models/copy-text/config'))) as { body: { input: object[] } };
    expect(body.input[0]).to.include({ data_type: 'TYPE_STRING' });
  });

  it('statistics and metrics count from 0, and count refused requests as failures', async () => {
    const stats = async (path: string) =>
      ((await json(await get(path))) as { body: { model_stats: Record<string, unknown>[] } }).body
        .model_stats;
    const metrics = async () => (await get('/metrics')).text();
    const before = await metrics();
    for (const name of [
      'request_success',
      'count',
      'exec_count',
      'pending_request_count',
      'request_duration_us',
      'queue_duration_us',
      'compute_input_duration_us',
      'compute_infer_duration_us',
      'compute_output_duration_us',
    ])
      expect(before).to.include(`nv_inference_${name}{model="square",version="1"} 0\n`);
    expect(before).to.include('nv_inference_request_failure{model="square",version="1",reason="OTHER"} 0\n');
    expect(before).to.include(
      'onnx_groupnorm_request_duration_seconds_count{model="square",version="1"} 0\n',
    );
    expect(before)
      .to.match(/nodejs_eventloop_lag_seconds \d/)
      .and.match(/process_resident_memory_bytes \d/);
    const zero = { count: 0, ns: 0 };
    expect((await stats('/v2/models/square/stats'))[0]).to.deep.equal({
      name: 'square',
      version: '1',
      last_inference: 0,
      inference_count: 0,
      execution_count: 0,
      inference_stats: {
        success: zero,
        fail: zero,
        queue: zero,
        compute_input: zero,
        compute_infer: zero,
        compute_output: zero,
        cache_hit: zero,
        cache_miss: zero,
      },
      batch_stats: [],
    });

    await infer('square', squareRequest([1, 2, 3, 4, 5, 6, 7, 8]));
    await infer('square', '{');
    await infer('square', squareRequest([1, 2, 3, 4]), { 'content-encoding': 'br' });
    await infer('unknown', squareRequest([1, 2, 3, 4]));
    const after = await metrics();
    expect(after).to.include('nv_inference_count{model="square",version="1"} 2\n');
    expect(after).to.include('nv_inference_request_failure{model="square",version="1",reason="OTHER"} 2\n');
    expect(after).to.include('onnx_groupnorm_request_duration_seconds_count{model="square",version="1"} 1\n');
    expect(after).not.to.include('unknown');
    const [counted] = await stats('/v2/models/square/versions/1/stats');
    expect(counted).to.deep.include({ inference_count: 2, execution_count: 1 });
    expect(counted!.inference_stats).to.have.nested.property('fail.count', 2);
    expect(counted!.batch_stats).to.have.nested.property('[0].batch_size', 2);
    expect((await stats('/v2/models/stats')).map(({ name }) => name)).to.deep.equal(['copy-text', 'square']);
  });

  it('what does not exist is 404, a wrong method 405, and each has an error', async () => {
    for (const path of [
      '/',
      '/v3',
      '/v2/models',
      '/v2/models/no',
      '/v2/models/no/ready',
      '/v2/models/square/versions/2',
      '/v2/models/square/versions/x/config',
      '/v2/models/__proto__',
      '/v2/models/no/stats',
    ]) {
      const { status, body } = (await json(await get(path))) as { status: number; body: { error: string } };
      expect(status, path).to.equal(404);
      expect(body.error, path).to.be.a('string').and.not.empty;
    }
    for (const [method, path, allow] of [
      ['POST', '/v2/health/live', 'GET, HEAD'],
      ['DELETE', '/v2/models/square', 'GET, HEAD'],
      ['GET', '/v2/models/square/infer', 'POST'],
      ['PUT', '/v2/models/square/infer', 'POST'],
      ['GET', '/v2/repository/index', 'POST'],
      ['OPTIONS', '/metrics', 'GET, HEAD'],
      ['PROPFIND', '/v2/models/square', 'GET, HEAD'],
      ['QUERY', '/v2/models/square/infer', 'POST'],
    ] as const) {
      const answer = await get(path, { method });
      expect(answer.status, `${method} ${path}`).to.equal(405);
      expect(answer.headers.get('allow')).to.equal(allow);
      expect(await answer.json())
        .to.have.property('error')
        .that.includes(method);
    }
    for (const path of ['/v2/%zz', `/v2/models/${'x'.repeat(2000)}`])
      expect((await get(path)).status).to.equal(400);
  });

  it('the repository lists, unloads and loads models, and says why a model cannot be loaded', async () => {
    const post = async (path: string, body?: string) => {
      const answer = await get(`/v2/repository/${path}`, {
        method: 'POST',
        ...(body !== undefined && { body }),
      });
      return { status: answer.status, body: (await answer.json()) as { error?: string } };
    };
    const ready = { version: '1', state: 'READY', reason: '' };
    const both = [
      { name: 'copy-text', ...ready },
      { name: 'square', ...ready },
    ];
    expect(await post('index')).to.deep.equal({ status: 200, body: both });
    expect(await post('models/square/unload', '{"parameters":{"unload_dependents":false}}')).to.deep.equal({
      status: 200,
      body: {},
    });
    expect(await post('index', '{"ready":true}')).to.deep.equal({ status: 200, body: [both[0]] });
    expect((await get('/v2/models/square/ready')).status).to.equal(503);
    expect((await infer('square', squareRequest([1, 2, 3, 4]))).status).to.equal(503);
    expect(await (await get('/metrics')).text()).not.to.include('model="square"');
    expect(await post('models/square/load', '{}')).to.deep.equal({ status: 200, body: {} });
    expect((await infer('square', squareRequest([1, 2, 3, 4]))).status).to.equal(200);

    expect((await post('models/no/load')).status).to.equal(404);
    expect((await post('models/no/unload')).status).to.equal(404);
    const wrong = ['{', '[]', '1', '{"parameters":null}', '{"parameters":[]}'];
    for (const body of [
      ...wrong,
      '{"parameters":{"config":"{}"}}',
      '{"parameters":{"file:1/model.onnx":""}}',
    ])
      expect((await post('models/square/load', body)).status, body).to.equal(400);
    for (const body of wrong) expect((await post('models/square/unload', body)).status, body).to.equal(400);
    for (const body of ['{"ready":null}', '{"ready":"true"}', '\ufeff{}'])
      expect((await post('index', body)).status, body).to.equal(400);
    expect((await infer('square', squareRequest([1, 2, 3, 4]))).status).to.equal(200);
    await writeFile(`${folder()}/broken.onnx`, 'not a model');
    const broken = await post('models/broken/load');
    expect(broken.status).to.equal(400);
    expect(broken.body.error).to.include('broken.onnx').and.not.include(folder());
    await server().models.refresh();
    expect((await get('/v2/health/ready')).status).to.equal(503);
    expect(JSON.stringify((await post('index')).body))
      .to.include('UNAVAILABLE')
      .and.not.include(folder());
  });
});

describe('a server with a token', () => {
  const { get } = serverOf(['square'], { token: 'secret.~+/-_==' });

  it('a server with a token answers only requests that have it, but for health', async () => {
    const status = async (path: string, authorization?: string) =>
      (await get(path, { ...(authorization !== undefined && { headers: { authorization } }) })).status;
    expect(await status('/v2/health/live')).to.equal(200);
    expect(await status('/v2/health/ready')).to.equal(200);
    for (const wrong of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'Bearer secret',
      'Basic secret.~+/-_==',
      'secret.~+/-_==',
      'Bearer secret.~+/-_== x',
    ])
      for (const path of ['/v2', '/metrics', '/v2/models/square', '/no'])
        expect(await status(path, wrong), `${wrong} ${path}`).to.equal(401);
    expect(await status('/v2', 'Bearer secret.~+/-_==')).to.equal(200);
    expect(await status('/metrics', 'bearer secret.~+/-_==')).to.equal(200);
    const refused = await get('/v2');
    expect(refused.headers.get('www-authenticate')).to.equal('Bearer');
    expect(await refused.json())
      .to.have.property('error')
      .that.includes('Authorization');
  });
});

describe('createServer', () => {
  const code = (options: object) => {
    try {
      createServer({ model: 'm', ...options });
    } catch (error) {
      return (error as { code: string }).code;
    }
    return undefined;
  };

  it('createServer refuses options that do not exist or are out of range', () => {
    expect(code({ prot: 1 })).to.equal('UNKNOWN_OPTION');
    for (const wrong of [
      { port: 65536 },
      { port: '80' },
      { maxBody: 0 },
      { token: '' },
      { token: 'a b' },
      { watch: 0 },
      { requestTimeout: 2 ** 31 },
      { model: 3 },
    ])
      expect(code(wrong), JSON.stringify(wrong)).to.equal('INVALID_OPTION');
    expect(code({ port: 0, token: 'a' })).to.equal(undefined);
  });

  it('createServer says that a port is taken, and that a path holds no model', async () => {
    const first = createServer({ model: '/nowhere', port: 0 });
    const port = Number(new URL(await first.listen()).port);
    expect(await rejection(first.loaded())).to.have.property('code', 'REPOSITORY_INVALID');
    expect((await fetch(`http://127.0.0.1:${port}/v2/health/live`)).status).to.equal(200);
    expect((await fetch(`http://127.0.0.1:${port}/v2/health/ready`)).status).to.equal(503);
    expect((await fetch(`http://127.0.0.1:${port}/v2/models/x`)).status).to.equal(503);
    const second = createServer({ model: '/nowhere', port });
    expect(await rejection(second.listen())).to.have.property('code', 'ADDRESS_UNAVAILABLE');
    await Promise.all([first.close(), second.close()]);
  });
});
