/**
 * GroupNormalization in the bodies of If, Loop and Scan, and in local functions.
 *
 *     GroupNormalization
 *
 * matches if its dtype, rank and channels are known (`describeSite`): in a body by the values that the body reads and by what
 * its node passes on, in a function by each call.
 *
 * Each becomes the nodes of a lowering, in place. A function is written once for all calls that need the same nodes: the first
 * version keeps the name, and others get names of their own. A function that no node calls stays as it is.
 */
import type { SiteRef } from '../../lowering/lower.js';
import { CONTRIB_DOMAIN } from '../../lowering/types.js';
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
import { isGroupNorm, type LoweringReport } from './group-normalization.js';
import { problemOf } from '../analysis/node-checks.js';
import { describeSite, lowerWith, type SiteLowering } from './sites.js';
import { MAX_DEPTH, type ValueTypes } from '../analysis/value-types.js';

/**
 * Replaces matching nodes.
 * @throws GraphError as `lowerSite`.
 */
export function lowerInnerGroupNorm(types: ValueTypes, lowering: SiteLowering): LoweringReport {
  const { model } = types;
  if (!model.nestedOpTypes().has('GroupNormalization')) return { replaced: 0, refusals: [] };
  return new InnerPass(model, lowering).run(types);
}

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
  readonly isContrib: boolean;
}

const UNCHANGED: GraphEdits = { nodes: new Map() };

class InnerPass {
  #replaced = 0;
  readonly #refusals = new Set<string>();
  /** The versions of each function that is called, by their edits. */
  readonly #versions = new Map<LocalFunction, Map<string, FunctionVersion>>();
  /** What nodes of functions have become. Most calls of a function need the same, which is written and counted once. */
  readonly #lowered = new Map<ModelNode, Map<string, LoweredNode>>();
  /** The names that functions and operators have. */
  readonly #functionNames: Set<string>;

  constructor(
    private readonly model: Model,
    private readonly lowering: SiteLowering,
  ) {
    const names = model.localFunctions.map(({ name }) => name);
    this.#functionNames = new Set([
      ...names,
      ...model.nodes.map(({ opType }) => opType),
      ...model.nestedOpTypes(),
    ]);
  }

  run(types: ValueTypes): LoweringReport {
    const { model } = this;
    const scope: Scope = { taken: model.names(), imports: new Map() };
    model.editInner((node) => {
      const edit = this.#isGroupNorm(node) ? undefined : this.#edit(types, node, scope);
      this.#replaced += edit ? countReplaced(edit) : 0;
      return edit;
    });
    const written = new Map<LocalFunction, readonly FunctionVersion[]>();
    for (const [callee, versions] of this.#versions) {
      const all = [...versions.values()];
      if (all.some(({ edits }) => edits.nodes.size > 0)) written.set(callee, all);
      for (const { edits } of all)
        for (const edit of edits.nodes.values()) this.#replaced += countReplaced(edit);
    }
    if (written.size > 0) model.replaceFunctions(written);
    return { replaced: this.#replaced, refusals: [...this.#refusals] };
  }

  #isGroupNorm(node: ModelNode): boolean {
    return isGroupNorm(node) && !this.model.isFunctionCall(node);
  }

  #edit(types: ValueTypes, node: ModelNode, scope: Scope): InnerEdit | undefined {
    if (this.#isGroupNorm(node)) return this.#lower(types, node, scope);
    const callee = this.model.functionOf(node);
    const within = types.within(node);
    if (within.length === 0) {
      if (callee || bodiesOf(node).length > 0)
        this.#refuse(
          types,
          node,
          `it lies in more than ${MAX_DEPTH} functions and bodies; inline the functions first`,
        );
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
    const nodes = new Map<number, InnerEdit>();
    for (const [position, node] of types.inside!.graph.nodes.entries()) {
      const edit = this.#edit(types, node, scope);
      if (edit) nodes.set(position, edit);
    }
    return nodes.size > 0 ? { nodes } : undefined;
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

  #lower(types: ValueTypes, node: ModelNode, { taken, imports }: Scope): InnerEdit | undefined {
    const { model } = this;
    const site = problemOf(node, model.opset) ?? describeSite(types, types.asCalled(node), false);
    if (typeof site === 'string') {
      this.#refuse(types, node, site);
      return undefined;
    }
    const known = this.#lowered.get(node) ?? new Map<string, LoweredNode>();
    this.#lowered.set(node, known);
    const key = JSON.stringify(site);
    let lowered = known.get(key);
    if (!lowered || lowered.names.some((name) => taken.has(name))) {
      lowered = this.#lowerSite(site, taken);
      known.set(key, lowered);
    }
    for (const name of lowered.names) taken.add(name);
    imports.set('', model.opset);
    if (lowered.isContrib) imports.set(CONTRIB_DOMAIN, 1);
    return { nodes: lowered.nodes };
  }

  #lowerSite(site: SiteRef, taken: Set<string>): LoweredNode {
    const { model, lowering } = this;
    const before = taken.size;
    const fragment = lowerWith(lowering, site, model, taken);
    return {
      nodes: model.encodeInner(fragment),
      names: [...taken].slice(before),
      isContrib: fragment.nodes.some(({ domain }) => domain === CONTRIB_DOMAIN),
    };
  }

  #refuse({ inside }: ValueTypes, node: ModelNode, reason: string): void {
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
    const isKnown = isReplaced && name && dtype && shape && !index.typeOf(name);
    return isKnown ? encodeValueInfo({ name, dtype, shape }) : [];
  });
}

/** Returns how many nodes an edit replaces. Those of functions that it calls are counted with the functions. */
function countReplaced({ nodes, bodies = [] }: InnerEdit): number {
  const within = bodies.flatMap((edits) => [...(edits?.nodes.values() ?? [])]);
  return (nodes ? 1 : 0) + within.reduce((sum, edit) => sum + countReplaced(edit), 0);
}
