/** What callers in JavaScript get wrong, which no type checker has seen: each is an error of this library's own. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { decodePng, encodePng, type Image, maskToImage, overlay, segment } from '../lib/images/index.js';
import {
  castTensor,
  checkFixture,
  compareTensors,
  counterWeights,
  decodeNpy,
  decodeSafetensors,
  encodeModel,
  encodeModelExternal,
  encodeNpy,
  encodeSafetensors,
  formatShape,
  getGraph,
  GraphBuilder,
  initializeWeights,
  keepIo,
  matchStateDict,
  OnnxGroupNormError,
  op,
  tensor,
  toFloat64Array,
  writeModel,
  type SafetensorsContent,
} from '../lib/index.js';

/** No value at all, and things that are not what a typed caller would give. */
const STRANGE: unknown[] = [null, 3, 'abcd', {}, [null], true, 3n];

const refuses = (code: string, message: RegExp, action: () => unknown) => {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).to.be.instanceOf(OnnxGroupNormError);
  expect((thrown as OnnxGroupNormError).code).to.equal(code);
  expect((thrown as Error).message).to.match(message);
};

const refusesLater = async (code: string, message: RegExp, action: () => Promise<unknown>) => {
  const outcome = await action().then(
    () => undefined,
    (error: unknown) => error,
  );
  refuses(code, message, () => {
    if (outcome !== undefined) throw outcome as Error;
  });
};

function sample() {
  const g = new GraphBuilder('sample');
  const x = g.input('x', 'float32', ['N', 4, 8, 8]);
  const vector = g.parameter('vector', { dtype: 'float32', shape: [4] });
  const kernel = g.parameter('kernel', { dtype: 'float32', shape: [4, 4, 2, 2] });
  return { g, x, vector, kernel };
}

describe('from JavaScript', () => {
  const { g, x, vector, kernel } = sample();

  for (const strange of STRANGE as never[]) {
    const name = typeof strange === 'bigint' ? '3n' : JSON.stringify(strange);

    it(`operators refuse ${name} for an optional input`, () => {
      const none = /is not a value of a graph; to leave it out, give undefined$/;
      const options = { numGroups: 2 };
      refuses('MISSING_VALUE', none, () => op.groupNormalization(g, x, strange, vector, options));
      refuses('MISSING_VALUE', none, () => op.groupNormalization(g, x, vector, strange, options));
      refuses('MISSING_VALUE', none, () => op.layerNormalization(g, x, vector, strange));
      refuses('MISSING_VALUE', none, () => op.conv(g, x, kernel, strange));
      refuses('MISSING_VALUE', none, () => op.convTranspose(g, x, kernel, strange));
      const matrix = op.flatten(g, vector, { axis: 0 });
      refuses('MISSING_VALUE', none, () => op.gemm(g, matrix, matrix, strange, { transB: true }));
      refuses('MISSING_VALUE', /^Concat/, () => op.concat(g, strange, { axis: 0 }));
    });

    it(`operators refuse ${name} for a list or a shape`, () => {
      const reads = /must be a list of 2 integers of at least 0, one for each spatial dimension/;
      if (strange !== null) {
        const options = { outputPadding: strange };
        refuses('INVALID_ATTRIBUTE', reads, () => op.convTranspose(g, x, kernel, undefined, options));
      }
      refuses('INVALID_SHAPE', /a dimension is an integer/, () => g.input('z', 'float32', strange));
      refuses('INVALID_SHAPE', /^Reshape: outputShape/, () =>
        op.reshape(g, x, [0, -1], { outputShape: strange }),
      );
      refuses('INVALID_SHAPE', /^Expand: outputShape/, () => op.expand(g, x, [1], { outputShape: strange }));
    });

    it(`tensor functions refuse ${name} for a tensor or its dims`, () => {
      const none = /is not a tensor|unknown dtype|dimensions must be|cannot cast/;
      refuses('TENSOR_INVALID', none, () => tensor('float32', strange, new Float32Array(4)));
      refuses('TENSOR_INVALID', none, () => g.constant(strange));
      refuses('TENSOR_INVALID', none, () => castTensor(strange, 'float32'));
      refuses('TENSOR_INVALID', none, () => encodeNpy(strange));
      refuses('TENSOR_INVALID', none, () => encodeSafetensors({ tensors: [['a', strange]] }));
    });

    it(`decodeNpy and decodeSafetensors refuse ${name} for the bytes of a file`, () => {
      refuses('NPY_INVALID', /it must be given as its bytes/, () => decodeNpy(strange));
      refuses('SAFETENSORS_INVALID', /it must be given as its bytes/, () => decodeSafetensors(strange));
    });

    it(`operators refuse ${name} for the GraphBuilder, their first argument`, () => {
      const forgotten = /^Relu: its first argument must be the GraphBuilder/;
      refuses('INVALID_GRAPH', forgotten, () => op.relu(strange, x));
      refuses('INVALID_GRAPH', /^Conv: its first/, () => op.conv(strange, x, kernel, undefined));
      refuses('INVALID_GRAPH', /^Concat: its first/, () => op.concat(strange, [x, x], { axis: 0 }));
      const calls = Object.entries(op) as unknown as [string, (...args: unknown[]) => unknown][];
      for (const [, call] of calls) {
        refuses('INVALID_GRAPH', /: its first argument must be the/, () => call(strange, x, x, x, x, x, x));
      }
      const lists = /^Relu: (its inputs must be a list of|input 0 is not a) value/;
      refuses('MISSING_VALUE', lists, () => g.node('Relu', strange, {}, strange));
    });

    it(`checkFixture and compareTensors refuse ${name} for a fixture or a tensor`, async () => {
      const spec = { lowering: 'op', opset: 21, provider: 'cpu' } as const;
      const build = () => getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
      await refusesLater('FIXTURE_INVALID', /what readFixture or/, () => checkFixture(strange, spec, build));
      const one = tensor('float32', [1], new Float32Array(1));
      const exact = { rtol: 0, atol: 0 };
      const none = /is not a tensor|unknown dtype/;
      refuses('TENSOR_INVALID', none, () => toFloat64Array(strange));
      refuses('TENSOR_INVALID', none, () => compareTensors('y', strange, one, exact));
      refuses('TENSOR_INVALID', none, () => compareTensors('y', one, strange, exact));
      refuses('INVALID_OPTION', /rtol must be/, () => compareTensors('y', one, one, strange));
    });

    it(`image functions refuse ${name} for an image, a mask or a session`, async () => {
      const image: Image = { width: 1, height: 1, channels: 1, samples: new Uint8Array(1), max: 255 };
      refuses('IMAGE_INVALID', /given as its bytes/, () => decodePng(strange));
      refuses('IMAGE_INVALID', /^encodePng: this is not an image/, () => encodePng(strange));
      refuses('IMAGE_INVALID', /^overlay: this is not an image/, () => overlay(strange, strange));
      refuses('MASK_INVALID', /^overlay: this is not a mask/, () => overlay(image, strange));
      refuses('MASK_INVALID', /^maskToImage: this is not a mask/, () => maskToImage(strange));
      await refusesLater('INVALID_OPTION', /what createSession returns/, () => segment(strange, image));
    });

    it(`encodeSafetensors refuses ${name} for the content of a file`, () => {
      const none = /its content must be \{ tensors|tensors must be a Map/;
      refuses('SAFETENSORS_INVALID', none, () => encodeSafetensors(strange));
      const metadata = strange === null ? null : undefined;
      const empty = { tensors: [], metadata } as unknown as SafetensorsContent;
      expect(encodeSafetensors(empty)).to.have.length(1);
    });

    it(`matchStateDict refuses ${name} for a state_dict`, () => {
      const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
      refuses('STATE_DICT_MISMATCH', /must be a Map/, () => matchStateDict(graph, strange));
      const values = new Map([
        ['weight', strange],
        ['bias', strange],
      ]);
      refuses('STATE_DICT_MISMATCH', /'weight' is not a tensor\n +'bias' is not a tensor/, () =>
        matchStateDict(graph, values),
      );
      refuses('INVALID_DTYPE', /is not a float/, () => keepIo(graph, strange));
      refuses('UNKNOWN_GRAPH', /known: group-norm/, () => getGraph(strange));
    });

    it(`functions of a graph refuse ${name} for the graph`, async () => {
      const none = / is not a graph; give what a GraphBuilder's build\(\) returns/;
      refuses('INVALID_GRAPH', none, () => encodeModel(strange, new Map()));
      refuses('INVALID_GRAPH', none, () => encodeModelExternal(strange, new Map(), 'weights.data'));
      refuses('INVALID_GRAPH', none, () => initializeWeights(strange));
      refuses('INVALID_GRAPH', none, () => counterWeights(strange, 0));
      refuses('INVALID_GRAPH', none, () => matchStateDict(strange, new Map()));
      refuses('INVALID_GRAPH', none, () => keepIo(strange, 'float32'));
      await refusesLater('INVALID_GRAPH', none, () => writeModel('never.onnx', strange, new Map()));
    });

    it(`encodeModel and writeModel refuse ${name} for the weights`, async () => {
      const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
      const none = /^graph 'group-norm': the weights must be a Map .* no data for 'weight', 'bias';/;
      refuses('WEIGHTS_NOT_SET', none, () => encodeModel(graph, strange));
      refuses('WEIGHTS_NOT_SET', none, () => encodeModelExternal(graph, strange, 'weights.data'));
      await refusesLater('WEIGHTS_NOT_SET', none, () => writeModel('never.onnx', graph, strange));
      const bias = tensor('float32', [4], new Float32Array(4));
      const weights = new Map([
        ['weight', strange],
        ['bias', bias],
      ]);
      refuses('TENSOR_INVALID', /^parameter 'weight': /, () => encodeModel(graph, weights));
      refuses('TENSOR_INVALID', /^parameter 'weight': .*dimensions must be a list/, () =>
        encodeModel(graph, new Map([...weights, ['weight', { ...bias, dims: strange }]])),
      );
    });

    it(`initializeWeights and counterWeights check a seed that is ${name}`, () => {
      const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
      for (const make of [initializeWeights, counterWeights]) {
        if (strange === 3) expect(make(graph, strange).size).to.equal(2);
        else refuses('INVALID_OPTION', /Weights: seed .* must be an integer$/, () => make(graph, strange));
      }
    });
  }

  it('operators refuse missing and unknown options', () => {
    refuses('NO_OPTIONS', /not undefined: numGroups, epsilon/, () =>
      (op.groupNormalization as (...args: unknown[]) => void)(g, x, vector, vector),
    );
    for (const call of [op.conv, op.convTranspose] as ((...args: unknown[]) => void)[]) {
      refuses('NO_OPTIONS', /not 3/, () => call(g, x, kernel, undefined, 3));
      refuses('UNKNOWN_OPTION', /did you mean 'strides'\?/, () =>
        call(g, x, kernel, undefined, { stride: [2, 2] }),
      );
    }
    const eps = { numGroups: 2, eps: 1e-3 };
    refuses('UNKNOWN_OPTION', /it has: numGroups, epsilon$/, () =>
      op.groupNormalization(g, x, vector, vector, eps),
    );
    refuses('UNKNOWN_OPTION', /it has: axes, keepdims$/, () => op.reduceMean(g, x, { axis: 1 } as never));
  });

  it('maxPool refuses missing and unknown options', () => {
    const maxPool = op.maxPool as (...args: unknown[]) => void;
    for (const none of [undefined, null, 3, 'abcd']) {
      refuses('NO_OPTIONS', /^MaxPool.*: kernelShape, ceilMode, /, () => maxPool(g, x, none));
    }
    refuses('UNKNOWN_OPTION', /did you mean 'strides'\?/, () =>
      maxPool(g, x, { kernelShape: [2, 2], stride: [2, 2] }),
    );
    refuses('INVALID_ATTRIBUTE', /kernel shape undefined must be a list of 2 integers/, () =>
      maxPool(g, x, {}),
    );
  });

  it('encodeModel names weights that are missing, or undefined in the Map', () => {
    const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
    refuses('WEIGHTS_NOT_SET', /must be a Map/, () => (encodeModel as (...args: unknown[]) => void)(graph));
    const bias = tensor('float32', [4], new Float32Array(4));
    const weights = new Map([
      ['weight', undefined as never],
      ['bias', bias],
    ]);
    refuses('WEIGHTS_NOT_SET', /^graph 'group-norm': no data for 'weight';/, () =>
      encodeModel(graph, weights),
    );
    refuses('WEIGHTS_NOT_SET', /no data for any parameter/, () =>
      encodeModel(getGraph('norm-comparison').build(), null as never),
    );
  });

  it('formatShape returns a text for a shape that is not a list', () => {
    for (const none of [undefined, null, 3, 'abcd', {}] as never[]) {
      refuses('TENSOR_INVALID', /^a shape must be a list/, () => formatShape(none));
    }
  });

  it('encodeSafetensors refuses tensors that are neither a Map nor a list of pairs', () => {
    refuses('SAFETENSORS_INVALID', /must be a Map, or a list/, () =>
      encodeSafetensors({ tensors: { a: tensor('float32', [1], new Float32Array(1)) } as never }),
    );
  });
});
