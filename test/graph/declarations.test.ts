import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError } from '../../lib/errors.js';
import {
  requireDType,
  requireInit,
  requireName,
  requireObject,
  requireShape,
} from '../../lib/graph/declarations.js';
import { DTYPES, FLOAT_DTYPES } from '../../lib/tensor.js';

const refuses = (code: string, message: string, action: () => void) =>
  expect(action).to.throw(GraphError, message).with.property('code', code);

describe('graph/declarations', () => {
  it('requireName accepts only a text that is not empty and has no control characters', () => {
    for (const name of ['x', 'enc1.double_conv.0.weight', '/Conv_output_0', 'ä 漢', ' '])
      requireName(name, 'input');
    for (const name of ['', 'a\nb', '\0', 3, null, undefined, {}, 3n] as string[]) {
      refuses('INVALID_NAME', 'input: ', () => requireName(name, 'input'));
    }
    refuses('INVALID_NAME', 'scope: "" is not a name: it must be text', () => requireName('', 'scope'));
    refuses('INVALID_NAME', 'scope: "3n" is not a name', () => requireName(3n as never, 'scope'));
    refuses('INVALID_NAME', 'scope: undefined is not a name', () => requireName(undefined as never, 'scope'));
  });

  it('requireDType accepts only a dtype of the list', () => {
    for (const dtype of DTYPES) requireDType(dtype, 'x');
    for (const dtype of ['float', 'FLOAT32', '', null, 1] as never[]) {
      refuses('INVALID_DTYPE', `x: unknown dtype '${String(dtype)}'; allowed: float32, `, () =>
        requireDType(dtype, 'x'),
      );
    }
  });

  it('requireShape accepts only a list of sizes and names', () => {
    for (const shape of [[], [0], ['N', 3], [2 ** 53 - 1]]) requireShape(shape, 'x');
    const bad: unknown[] = [
      [-1],
      [1.5],
      [NaN],
      [''],
      [null],
      [2 ** 53],
      [3n],
      'N',
      3,
      null,
      undefined,
      { length: 0 },
    ];
    for (const shape of bad) refuses('INVALID_SHAPE', 'x: shape ', () => requireShape(shape as never, 'x'));
    refuses('INVALID_SHAPE', 'x: shape [-1]: a dimension is an integer of at least 0', () =>
      requireShape([-1], 'x'),
    );
    refuses('INVALID_SHAPE', 'x: shape ["3n"]: ', () => requireShape([3n] as never, 'x'));
  });

  it('requireInit accepts only ones, zeros, uniform within a bound, or undefined', () => {
    for (const init of [undefined, 'ones', 'zeros', { uniform: 0.5 }] as const)
      requireInit(init, 'float16', 'x');
    for (const init of ['one', 1, null, {}, { uniform: '1' }, { uniform: Infinity }] as never[]) {
      refuses('INVALID_ATTRIBUTE', "known: 'ones', 'zeros', { uniform: bound }", () =>
        requireInit(init, 'float32', 'x'),
      );
    }
  });

  it('requireInit refuses a random initialisation of integers and bool', () => {
    for (const dtype of DTYPES.filter((name) => !(FLOAT_DTYPES as readonly string[]).includes(name))) {
      for (const init of [undefined, 'ones', 'zeros'] as const) requireInit(init, dtype, 'x');
      refuses(
        'INVALID_ATTRIBUTE',
        `x: init {"uniform":0.5} draws floats, but its dtype is ${dtype}; allowed: 'ones', 'zeros'`,
        () => requireInit({ uniform: 0.5 }, dtype, 'x'),
      );
    }
  });

  it('requireObject accepts only an object', () => {
    requireObject({}, 'x');
    for (const value of [null, undefined, 3, 'a'] as never[]) {
      refuses('INVALID_ATTRIBUTE', 'x must be an object, not ', () => requireObject(value, 'x'));
    }
  });
});
