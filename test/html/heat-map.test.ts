import { expect } from 'chai';
import { describe, it } from 'mocha';
import { heatMap, heatMapLegend } from '../../lib/html/heat-map.js';

describe('heatMap', () => {
  it('heatMap draws each level as one path of the runs in the rows', () => {
    const cells = [
      [0, 2, 2, Infinity],
      [0.5, 0, 0, 5],
    ];
    const { text } = heatMap({ title: '<x>', down: '2 channels', across: '4 positions', cells });
    const paths = [...text.matchAll(/class="heat-(\d)" d="([^"]*)"/g)].map(([, level, path]) => [
      level,
      path,
    ]);
    expect(paths).to.deep.equal([
      ['0', 'M0 0h1v1h-1zM1 1h2v1h-2z'],
      ['3', 'M0 1h1v1h-1z'],
      ['4', 'M1 0h2v1h-2zM3 1h1v1h-1z'],
      ['7', 'M3 0h1v1h-1z'],
    ]);
    expect(text).to.include('&#60;x&#62;').and.to.include('viewBox="0 0 4 2"').and.not.to.include('<x>');
    expect(heatMapLegend().text).to.include('up to the tolerance');
  });

  it('heatMap draws a tensor without elements as an empty picture', () => {
    const { text } = heatMap({ title: 'empty', down: '0 rows', across: '0 columns', cells: [] });
    expect(text).to.include('viewBox="0 0 0 0"').and.not.to.include('<path');
  });
});
