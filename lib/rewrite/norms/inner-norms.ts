/**
 * Normalizations in the bodies of If, Loop and Scan, and in local functions: every form that the passes over the graph
 * replace there, but for ONNX Runtime's own operators.
 *
 *     GroupNorm as exporters write it, or in arithmetic
 *     GroupNormalization
 *     InstanceNormalization, and LayerNormalization of long rows
 *
 * match as in the graph (`find…GroupNorm`, `describeSite`, `matchRowNorm`): in a body by the values that the body reads and by
 * what its node passes on, in a function by each call.
 *
 * Each becomes the nodes of a lowering, in place, and the nodes that no other node reads then are removed. A function is
 * written once for all calls that need the same nodes: the first version keeps the name, and others get names of their own. A
 * function that no node calls stays as it is.
 */
import { type Fragment, lowerRowSite, namesOfFragment, type SiteRef } from '../../lowering/lower.js';
import { kernelLowering } from '../../lowering/op.js';
import {
  bodiesOf,
  type FunctionVersion,
  type GraphEdits,
  keyOf,
  type LocalFunction,
  type InnerEdit,
} from '../../onnx/graph/inner-graph.js';
import type { ValueInfoMessage } from '../../onnx/protobuf/messages.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { encodeValueInfo } from '../../onnx/graph/value-info.js';
import { withoutNames } from '../analysis/body-types.js';
import { findExportedGroupNorm, findWrittenGroupNorm } from './exported-group-norm.js';
import { dtypeOf, isFloat64InstanceNorm, isGroupNorm } from './group-normalization.js';
import { findInlinedGroupNorm } from './inlined-group-norm.js';
import { problemOf } from '../analysis/node-checks.js';
import { matchRowNorm, type RowPlan } from './row-norms.js';
import { describeSite, lowerWith, type SiteLowering } from './sites.js';
import { MAX_DEPTH, type ValueTypes } from '../analysis/value-types.js';

/** The lowering of each kind of normalization. Kinds that the plan leaves out stay as they are. */
export interface InnerPlan {
  /** GroupNorm as PyTorch exports it below opset 21. */
  readonly exported?: SiteLowering | undefined;
  /** GroupNorm in arithmetic: ONNX's definition in the operator's place, Keras 3's form, modules by hand. */
  readonly inlined?: SiteLowering | undefined;
  /** The standard operator. */
  readonly operator?: SiteLowering | undefined;
  /** InstanceNormalization and LayerNormalization for which ONNX Runtime has a wrong kernel, or none. */
  readonly rows?: RowPlan | undefined;
}

type Kind = keyof InnerPlan;

/** What the pass did. */
export interface InnerReport {
  /** How many nodes of each kind were replaced. */
  readonly replaced: Readonly<Record<Kind, number>>;
  /** The nodes that stay although the plan has their kind, each with the reason. */
  readonly refusals: readonly string[];
}

/**
 * Replaces matching nodes.
 * @param own The nodes that the model had before lowerings added nodes. Bodies of other nodes stay.
 * @throws GraphError as `lowerSite`.
 */
export function lowerInnerNorms(
  types: ValueTypes,
  plan: InnerPlan,
  own: ReadonlySet<ModelNode> = new Set(types.model.nodes),
): InnerReport {
  const { model } = types;
  const opTypes = model.nestedOpTypes();
  const isThere = (opType: string, ...kinds: Kind[]) =>
    opTypes.has(opType) && kinds.some((kind) => plan[kind]);
  const isAny =
    isThere('GroupNormalization', 'operator') ||
    isThere('InstanceNormalization', 'exported', 'rows') ||
    isThere('LayerNormalization', 'rows') ||
    isThere('ReduceMean', 'inlined');
  if (!isAny) return { replaced: NONE_REPLACED, refusals: [] };
  return new InnerPass(model, plan).run(types, own);
}

const NONE_REPLACED: InnerReport['replaced'] = { exported: 0, inlined: 0, operator: 0, rows: 0 };

/** The names and operator sets of the graph with its bodies, or of a function with its bodies. */
interface Scope {
  /** Every name in use. */
  readonly taken: Set<string>;
  /** The operator sets that the new nodes are of. */
  readonly imports: Map<string, number>;
}

/** What a node becomes. */
interface LoweredNode {
  readonly nodes: readonly Uint8Array[];
  /** The names that these nodes take. */
  readonly names: readonly string[];
  /** The domains of these nodes, other than ONNX's own. */
  readonly domains: readonly string[];
}

const UNCHANGED: GraphEdits = { nodes: new Map() };
const REMOVED: InnerEdit = { nodes: [] };

class InnerPass {
  readonly #replaced = { ...NONE_REPLACED } as Record<Kind, number>;
  readonly #kinds = new WeakMap<InnerEdit, Kind>();
  readonly #refusals = new Set<string>();
  /** The versions of each function that is called, by their edits. */
  readonly #versions = new Map<LocalFunction, Map<string, FunctionVersion>>();
  /** What nodes of functions have become. Most calls of a function need the same, which is written and counted once. */
  readonly #lowered = new Map<ModelNode, Map<string, LoweredNode>>();
  /** The names that functions and operators have. */
  readonly #functionNames: Set<string>;

  constructor(
    private readonly model: Model,
    private readonly plan: InnerPlan,
  ) {
    const names = model.localFunctions.map(({ name }) => name);
    this.#functionNames = new Set([
      ...names,
      ...model.nodes.map(({ opType }) => opType),
      ...model.nestedOpTypes(),
    ]);
  }

  run(types: ValueTypes, own: ReadonlySet<ModelNode>): InnerReport {
    const { model } = this;
    const scope: Scope = { taken: model.names(), imports: new Map() };
    model.editInner((node) => {
      const edit = own.has(node) ? this.#editWithin(types, node, scope) : undefined;
      if (edit) this.#count(edit);
      return edit;
    });
    const written = new Map<LocalFunction, readonly FunctionVersion[]>();
    for (const [callee, versions] of this.#versions) {
      const all = [...versions.values()];
      if (all.some(({ edits }) => edits.nodes.size > 0)) written.set(callee, all);
      for (const { edits } of all) for (const edit of edits.nodes.values()) this.#count(edit);
    }
    if (written.size > 0) model.replaceFunctions(written);
    return { replaced: this.#replaced, refusals: [...this.#refusals] };
  }

  /** Counts what an edit replaces. Nodes of functions that it calls are counted with the functions. */
  #count(edit: InnerEdit): void {
    const kind = this.#kinds.get(edit);
    if (kind) this.#replaced[kind] += 1;
    for (const body of edit.bodies ?? []) for (const inner of body?.nodes.values() ?? []) this.#count(inner);
  }

  /** Edits what lies within a node: its bodies, or the function that it calls. */
  #editWithin(types: ValueTypes, node: ModelNode, scope: Scope): InnerEdit | undefined {
    const callee = this.model.functionOf(node);
    const within = types.within(node);
    if (within.length === 0) {
      if (callee || bodiesOf(node).length > 0) this.#refuseDepth(types, node);
      return undefined;
    }
    if (callee) return this.#editCall(callee, within[0]!);
    const bodies = within.map((body) => {
      const edits = this.#editAll(body, scope);
      return edits && node.opType === 'Scan' ? { ...edits, declared: typesOfResults(body, edits) } : edits;
    });
    return bodies.some(Boolean) ? { bodies } : undefined;
  }

  #editAll(types: ValueTypes, scope: Scope): GraphEdits | undefined {
    const merged = this.#merge(types, scope);
    const nodes = new Map<number, InnerEdit>();
    for (const [position, node] of types.inside!.graph.nodes.entries()) {
      const edit =
        merged.get(node) ?? this.#editNorm(types, node, scope) ?? this.#editWithin(types, node, scope);
      if (edit) nodes.set(position, edit);
    }
    return nodes.size > 0 ? { nodes } : undefined;
  }

  /** Replaces chains of nodes. Returns the edits of their last nodes, and of nodes that no other node reads then. */
  #merge(types: ValueTypes, scope: Scope): Map<ModelNode, InnerEdit> {
    const sites = new Map<ModelNode, SiteRef>();
    const edits = new Map<ModelNode, InnerEdit>();
    const norms = new Set<ModelNode>();
    for (const [kind, find] of FINDERS) {
      const lowering = this.plan[kind];
      for (const { norm, last, site } of lowering ? find(types) : []) {
        // The rows of a whole GroupNorm are found as rows too.
        if (norms.has(norm)) continue;
        norms.add(norm);
        sites.set(last, site);
        const lower = (taken: Set<string>) => lowerWith(lowering!, site, this.model, taken);
        edits.set(last, this.#lower(last, kind, site, lower, scope));
      }
    }
    if (sites.size === 0) return edits;
    const { graph } = types.inside!;
    const read = new Set(graph.outputs);
    for (const node of [...graph.index.nodes].reverse()) {
      const site = sites.get(node);
      const [first] = node.outputs;
      const isDead = first && graph.index.isRead(first) && !node.outputs.some((name) => read.has(name));
      if (site) for (const name of namesIn(site)) read.add(name);
      else if (isDead && !this.model.isFunctionCall(node)) edits.set(node, REMOVED);
      else for (const name of graph.index.readsOf(node)) read.add(name);
    }
    return edits;
  }

  /** Finds or makes the version of a function that a call needs. */
  #editCall(callee: LocalFunction, types: ValueTypes): InnerEdit | undefined {
    const scope: Scope = { taken: callee.names(), imports: new Map() };
    const edits = this.#editAll(types, scope) ?? UNCHANGED;
    const versions = this.#versions.get(callee) ?? new Map<string, FunctionVersion>();
    this.#versions.set(callee, versions);
    const key = keyOf(edits);
    const found = versions.get(key) ?? {
      name: versions.size === 0 ? callee.name : this.#freshName(`${callee.name}_${versions.size + 1}`),
      edits,
      imports: scope.imports,
    };
    versions.set(key, found);
    return found.name === callee.name ? undefined : { opType: found.name };
  }

  #freshName(base: string): string {
    let name = base;
    while (this.#functionNames.has(name)) name += '_';
    this.#functionNames.add(name);
    return name;
  }

  /** Replaces a node that normalizes by itself. */
  #editNorm(types: ValueTypes, node: ModelNode, scope: Scope): InnerEdit | undefined {
    const { model, plan } = this;
    const { operator, rows } = plan;
    if (model.isFunctionCall(node)) return undefined;
    const isOperator = operator !== undefined && isGroupNorm(node);
    const isFloat64 = rows !== undefined && isFloat64InstanceNorm(node, () => dtypeOf(types, node));
    if (isOperator || isFloat64) {
      const lowering = isOperator ? operator : rows!.lowering;
      const takesAnyRank = lowering === kernelLowering;
      const site = problemOf(node, model.opset) ?? describeSite(types, types.asCalled(node), takesAnyRank);
      if (typeof site === 'string') return this.#refuse(types, node, site);
      const lower = (taken: Set<string>) => lowerWith(lowering, site, model, taken);
      return this.#lower(node, isOperator ? 'operator' : 'rows', site, lower, scope);
    }
    const isValid = rows !== undefined && problemOf(node, model.opset) === undefined;
    const site = isValid ? matchRowNorm(types, types.asCalled(node), rows) : undefined;
    if (!site) return undefined;
    const lower = (taken: Set<string>) =>
      'axis' in site
        ? lowerRowSite(site, rows!.lowering, model.opset, taken)
        : lowerWith(rows!.lowering, site, model, taken);
    return this.#lower(node, 'rows', site, lower, scope);
  }

  /** @param lower Makes the nodes. Those of a site that is known already are not made anew. */
  #lower(
    node: ModelNode,
    kind: Kind,
    site: Pick<SiteRef, 'name' | 'output'>,
    lower: (taken: Set<string>) => Fragment,
    { taken, imports }: Scope,
  ): InnerEdit {
    const { model } = this;
    const known = this.#lowered.get(node) ?? new Map<string, LoweredNode>();
    this.#lowered.set(node, known);
    const key = JSON.stringify(site);
    let lowered = known.get(key);
    if (!lowered || lowered.names.some((name) => taken.has(name))) {
      const fragment = lower(taken);
      const domains = fragment.nodes.flatMap(({ domain }) => domain ?? []);
      // The names of the node itself and of its result are taken before.
      const names = namesOfFragment(fragment).filter((name) => name !== site.name && name !== site.output);
      lowered = { nodes: model.encodeInner(fragment), names, domains };
      known.set(key, lowered);
    }
    for (const name of lowered.names) taken.add(name);
    imports.set('', model.opset);
    for (const domain of lowered.domains) imports.set(domain, 1);
    const edit: InnerEdit = { nodes: lowered.nodes };
    this.#kinds.set(edit, kind);
    return edit;
  }

  #refuseDepth(types: ValueTypes, node: ModelNode): void {
    if (!this.plan.operator || !this.model.nestedOpTypes().has('GroupNormalization')) return;
    const limit = `it lies in more than ${MAX_DEPTH} functions and bodies`;
    this.#refuse(types, node, `${limit}; inline the functions first`);
  }

  #refuse({ inside }: ValueTypes, node: ModelNode, reason: string): undefined {
    const { kind, text } = inside!.graph.place;
    const where = kind === 'body' ? `the ${text}` : text;
    this.#refusals.add(`${node.opType} '${node.name || (node.outputs[0] ?? '')}' in ${where}: ${reason}`);
  }
}

/**
 * Returns the types of the results of new nodes. ONNX Runtime refuses to run a Scan whose outputs have no rank, and does not
 * infer the rank of a Reshape to a shape that is computed (seen at opset 13 to 14, in 1.32).
 */
function typesOfResults(types: ValueTypes, { nodes: edits }: GraphEdits): ValueInfoMessage[] {
  const { nodes, index } = types.inside!.graph;
  return [...edits].flatMap(([position, { nodes: isReplaced }]) => {
    const [name] = nodes[position]!.outputs;
    const { dtype, shape } = withoutNames(types.typeOf(name));
    const isKnown = isReplaced?.length && name && dtype && shape && !index.typeOf(name);
    return isKnown ? encodeValueInfo({ name, dtype, shape }) : [];
  });
}

/** The forms of GroupNorm that are chains of nodes, each after those that it is a part of. */
const FINDERS = [
  ['exported', findExportedGroupNorm],
  ['inlined', findWrittenGroupNorm],
  ['inlined', findInlinedGroupNorm],
] as const;

/** Returns the names of the values that the nodes of a lowering read. */
const namesIn = ({ x, scale, bias, view }: SiteRef): string[] =>
  [x, scale, bias, view?.reshape?.target].flatMap((value) => value?.name ?? []);
