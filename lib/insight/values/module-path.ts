/** The PyTorch modules that a node was exported from, where the exporter left their paths. */
import type { ModelNode } from '../../onnx/graph/node.js';

/**
 * Returns the paths of the modules in whose call a node was made, the outermost first, as `model.named_modules()` has
 * them: `layer1`, `layer1.0`, `layer1.0.bn1`. The model itself, whose path is empty, is left out.
 * @param known Modules of the network: TorchScript's names leave parts of paths out, which these have.
 */
export function modulesOf(node: ModelNode, known = NO_MODULES): readonly string[] {
  const scopes = node.metadata('pkg.torch.onnx.name_scopes');
  return scopes === undefined ? fromNodeName(node.name, known) : fromScopes(scopes);
}

/** Returns the path of the innermost module, or `undefined` if the exporter left none. */
export const moduleOf = (node: ModelNode): string | undefined => modulesOf(node).at(-1);

/** Modules of a network, by their paths. */
export class KnownModules {
  readonly #paths: ReadonlySet<string>;
  /** The paths by their unqualified names. */
  readonly #byName = new Map<string, string[]>();

  constructor(paths: Iterable<string>) {
    this.#paths = new Set(paths);
    for (const path of this.#paths) {
      const name = unqualified(path);
      const list = this.#byName.get(name);
      if (!list) this.#byName.set(name, [path]);
      else if (list.length < MOST_OF_A_NAME) list.push(path);
    }
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** Returns the only module of an unqualified name in the module that calls it, or else anywhere. */
  named(name: string, caller: string | undefined): string | undefined {
    const all = this.#byName.get(name) ?? [];
    const inCaller = all.filter((path) => path.startsWith(`${caller}.`));
    return [inCaller, all].find((paths) => paths.length === 1)?.[0];
  }
}

/** Bounds the time for names without end. */
const MOST_PARTS = 100;
/** Bounds the time for a file in which all modules have one name. */
const MOST_OF_A_NAME = 1000;

/** Returns the last part of a path that is not a number, and the numbers behind it: `layers.0`. */
function unqualified(path: string): string {
  const parts = path.split('.');
  const at = parts.findLastIndex((part) => !/^\d+$/.test(part));
  return parts.slice(Math.max(at, 0)).join('.');
}

const NO_MODULES = new KnownModules([]);

/** torch.export's: `['', 'layer1', 'layer1.0', 'layer1.0.bn1', 'group_norm']`. The last name is that of the operation. */
const fromScopes = (scopes: string): string[] =>
  [...scopes.matchAll(/'([^']*)'/g)]
    .map(([, path]) => path!)
    .slice(0, -1)
    .filter((path) => path !== '');

/**
 * TorchScript's: `/layer1/layer1.0/bn1/InstanceNormalization`. Each part is the unqualified name of a module that the
 * module before it calls. This library's own names, `/layer1/0/bn1/GroupNormalization`, read the same.
 * Source: `_unqualified_variable_name` of torch.onnx, and naming.cpp of its passes.
 */
function fromNodeName(name: string, known: KnownModules): string[] {
  const parts = name.startsWith('/') ? name.split('/', MOST_PARTS).slice(1, -1) : [];
  const paths: string[] = [];
  for (const part of parts) paths.push(pathOf(paths.at(-1), part, known));
  return paths;
}

function pathOf(caller: string | undefined, part: string, known: KnownModules): string {
  // The second call of `relu` is `relu_1`, which may be the name of a module as well.
  const names = [part, part.replace(/_\d+$/, '')];
  const direct = names.map((name) => joined(caller, name)).find((path) => known.has(path));
  if (direct !== undefined) return direct;
  // A ModuleDict is not called, so its name is left out. A module may be called by another than its parent.
  const [named] = names.flatMap((name) => known.named(name, caller) ?? []);
  return named ?? joined(caller, part);
}

/** A module in a Sequential or ModuleList has the name of the list in its own name: `layer1.0` in `layer1`. */
function joined(caller: string | undefined, name: string): string {
  if (caller === undefined) return name;
  const list = name.replace(/\.\d+(_\d+)?$/, '');
  const isOfCaller = list !== name && `.${caller}`.endsWith(`.${list}`);
  return isOfCaller ? caller + name.slice(list.length) : `${caller}.${name}`;
}
