import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { folderOf, urlWithin } from '../../../lib/runtime/ort-web/browser.js';

const FOLDER = 'https://example.com/models/one/';

describe('urlWithin', () => {
  it('urlWithin returns the URL of a file in the folder, whatever characters its name has', () => {
    const names = {
      w: 'w',
      'a/w': 'a/w',
      './a/../w': 'w',
      'a b.bin': 'a%20b.bin',
      'w?x=1': 'w%3Fx%3D1',
      'w#x': 'w%23x',
      '%2e%2e/w': '%252e%252e/w',
      '..%2fw': '..%252fw',
      '%2E./w': '%252E./w',
      '\\\\host\\w': '%5C%5Chost%5Cw',
      'https:w': 'https%3Aw',
      'javascript:alert(1)': 'javascript%3Aalert(1)',
      café: 'caf%C3%A9',
    };
    for (const [name, url] of Object.entries(names)) expect(urlWithin(FOLDER, name)).to.equal(FOLDER + url);
  });

  it('urlWithin refuses a path that leads out of the folder', () => {
    for (const name of [
      '',
      '.',
      'a/..',
      '..',
      '../w',
      '../one-more/w',
      'a/../../w',
      '/w',
      '//host/w',
      '../../..',
    ])
      expect(() => urlWithin(FOLDER, name), name)
        .to.throw(SessionError, "is not in the model's folder")
        .with.property('code', 'MODEL_REJECTED');
    expect(() => urlWithin('https://example.com/', '//host/w')).to.throw(SessionError);
  });
});

describe('folderOf', () => {
  it('folderOf returns the folder of a URL without its query, and undefined for URLs without folders', () => {
    expect(folderOf(`${FOLDER}model.onnx?download=true#x`)).to.equal(FOLDER);
    expect(folderOf('https://example.com')).to.equal('https://example.com/');
    expect(folderOf('blob:https://example.com/4a5b')).to.equal(undefined);
    expect(folderOf('data:application/octet-stream;base64,AA==')).to.equal(undefined);
  });
});
