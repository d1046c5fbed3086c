/** Models: built from the registry, opened from files, converted. Each is one file that holds its weights. */
import {
  batchNormToGroupNorm,
  convertModel,
  encodeModel,
  getGraph,
  inspectModel,
  ModelError,
  type ModelInspection,
} from '../../lib/browser.js';
import { sniff } from '../../lib/files/sniff.js';
import { embedInBlob } from '../../lib/onnx/external-data.js';
import { externalFiles } from '../../lib/onnx/protobuf/tensor-walk.js';
import { requireParametersFit } from '../../lib/onnx/encode.js';
import { listNames, plural } from '../../lib/quantities.js';
import type { Converted, NetworkSpec, OpenModel, Tasks } from '../protocol.js';
import { progress } from './progress.js';
import { loadWeights } from './weights.js';

/** Reads a model of the page. */
export const bytesOf = async ({ file }: Pick<OpenModel, 'file'>): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await file.arrayBuffer());

/** @throws ModelError if the bytes are not a model. */
function lookInto(name: string, bytes: Uint8Array): Promise<ModelInspection> {
  progress('looking into the model');
  return inspectModel(bytes, { where: name });
}

/** Returns a model of the page. */
const toModel = async (name: string, bytes: Uint8Array): Promise<OpenModel> => ({
  name,
  inspection: await lookInto(name, bytes),
  file: new Blob([bytes as Uint8Array<ArrayBuffer>]),
});

export async function buildModel({ spec }: Tasks['build']['input']): Promise<OpenModel> {
  const { graph: name, options, dtype, opset, lowering, weights }: NetworkSpec = spec;
  progress(`building ${name}`);
  const graph = getGraph(name).build(options, { dtype });
  requireParametersFit(graph);
  progress('loading the weights');
  const parameters = await loadWeights(graph, weights);
  progress('writing the model');
  return toModel(`${name}.onnx`, encodeModel(graph, parameters, { opset, lowering }));
}

/** Opens a file, and puts the weights into the model that lie in other files. Their names count, not their folders. */
export async function openModel({ file, data }: Tasks['open']['input']): Promise<OpenModel> {
  progress(`reading ${file.name}`);
  const bytes = await bytesOf({ file });
  // A file of another kind is named here, before its fields are read as those of a model.
  const inspection = await inspectModel(bytes, { where: file.name }).catch((cause: unknown) => {
    // Files of weights have no mark by which they are known.
    const isKnown = /\.onnx$/i.test(file.name) || sniff(bytes) !== undefined;
    if (isKnown || !(cause instanceof ModelError)) throw cause;
    const hint = 'if it holds the weights of a model, choose its .onnx file too';
    throw new ModelError(cause.code, `${cause.message}; ${hint}`, { cause });
  });
  if (inspection.model.externalData.length === 0) return { name: file.name, file, inspection };
  const given = new Map(data.map((one) => [one.name, one]));
  const files = new Map<string, Blob>();
  for (const location of externalFiles(bytes).keys()) {
    const found = given.get(location.split(/[/\\]/).at(-1)!);
    if (found) files.set(location, found);
  }
  const whole = embedInBlob(bytes, files);
  progress('reading the weights');
  return {
    name: file.name,
    file: whole,
    inspection: await lookInto(file.name, await bytesOf({ file: whole })),
  };
}

export async function convert({ model, conversion, groups }: Tasks['convert']['input']): Promise<Converted> {
  const bytes = await bytesOf(model);
  progress(`converting ${model.name}`);
  const where = model.name;
  const name = `${where.replace(/\.onnx$/i, '')}-${conversion}.onnx`;
  if (conversion === 'batch-norm') {
    const { bytes: converted, norms, warnings } = batchNormToGroupNorm(bytes, { numGroups: groups, where });
    const lines = [`${plural(norms.length, 'BatchNormalization')} became GroupNorm.`];
    return { ...(await toModel(name, converted)), lines, warnings };
  }
  const isMerge = conversion === 'merge';
  const options = isMerge ? { merge: true } : { lowering: conversion };
  const {
    bytes: converted,
    replaced,
    lowerings,
    raisedFrom,
    foreign,
  } = convertModel(bytes, { ...options, where });
  const { rows, ...groupNorms } = replaced;
  const count = Object.values(groupNorms).reduce((sum, one) => sum + one, 0);
  const lines = [
    count > 0
      ? `${count} GroupNorm written as ${lowerings.join(' and ')}.`
      : 'There is no GroupNorm to rewrite.',
    ...(rows > 0
      ? [`${plural(rows, 'other normalization')} in which ONNX Runtime loses digits, written as reduce-mean.`]
      : []),
    ...(raisedFrom === undefined
      ? []
      : [`Opset ${raisedFrom} became 21: all other nodes compute what they did.`]),
  ];
  const warnings =
    foreign.length > 0 ? [`Kept operators that only some runtimes have: ${listNames(foreign)}`] : [];
  return { ...(await toModel(name, converted)), lines, warnings };
}
