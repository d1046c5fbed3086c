/** The networks that can be built by name. */
import { GraphError } from '../lib/errors.js';
import { suggestion } from '../lib/nearest.js';
import type { GraphDefinition } from './shared/definition.js';
import { detectionBackboneGraph } from './detection-backbone.js';
import { autoencoderKlGraph } from './diffusers/autoencoder-kl.js';
import { unet2dConditionGraph } from './diffusers/unet-2d-condition.js';
import { unet2dGraph } from './diffusers/unet-2d.js';
import { doubleConvGraph } from './double-conv.js';
import { groupNormGraph } from './group-norm.js';
import { normComparisonGraph } from './norm-comparison.js';
import { resnetBlockGraph } from './resnet-block.js';
import { resnetGnGraph } from './timm/resnet-gn.js';
import { resnetV2BitGraph } from './timm/resnetv2-bit.js';
import { unetGraph } from './unet.js';

const DEFINITIONS = {
  'group-norm': groupNormGraph,
  'resnet-block': resnetBlockGraph,
  'double-conv': doubleConvGraph,
  unet: unetGraph,
  'detection-backbone': detectionBackboneGraph,
  'norm-comparison': normComparisonGraph,
  'autoencoder-kl': autoencoderKlGraph,
  'resnet-gn': resnetGnGraph,
  'resnetv2-bit': resnetV2BitGraph,
  'unet-2d': unet2dGraph,
  'unet-2d-condition': unet2dConditionGraph,
} as const;

/**
 * The name of a network in the registry.
 * @useDeclaredType
 */
export type GraphName = keyof typeof DEFINITIONS;

type DefinitionOf<Name extends GraphName> = (typeof DEFINITIONS)[Name];

/** Every network that can be built by name, by that name. */
export const GRAPHS: ReadonlyMap<string, GraphDefinition> = new Map(
  Object.values<GraphDefinition>(DEFINITIONS).map((definition) => [definition.name, definition]),
);

/**
 * Returns the network of a name. For a literal name the type checker knows the options of `build` too; for any other
 * string they are checked at run time only.
 * @throws GraphError `UNKNOWN_GRAPH` with the known names.
 */
export function getGraph<Name extends GraphName>(name: Name): DefinitionOf<Name>;
export function getGraph(name: string): GraphDefinition;
export function getGraph(name: string): GraphDefinition {
  const definition = GRAPHS.get(name);
  if (definition) return definition;
  const known = [...GRAPHS.keys()];
  throw new GraphError(
    'UNKNOWN_GRAPH',
    `unknown graph '${name}'${suggestion(String(name), known)}; known: ${known.join(', ')}`,
  );
}
