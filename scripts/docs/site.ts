/**
 * Builds the documentation site in `site/`: the guides, the API and the page, static, searchable, without network. Ends with 1 if
 * TypeDoc warns, if a link leads nowhere, or if a page loads a file from another host.
 *
 *   npm run docs
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Application,
  Comment,
  type CommentDisplayPart,
  CommentTag,
  type Context,
  Converter,
  type DeclarationReflection,
  JSX,
  DocumentReflection,
  KindRouter,
  LiteralType,
  makeRecursiveVisitor,
  PageEvent,
  ProjectReflection,
  ReferenceType,
  type Reflection,
  ReflectionKind,
  type TypeDocOptions,
  type TypeParameterReflection,
  UnionType,
} from 'typedoc';
import { buildWeb } from '../web/build.js';
import { checkSite } from './check-site.js';
import { caseTable, readProviderReports } from './provider-tables.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A document of the site, with its short title and its section of the navigation. */
interface Document {
  readonly path: string;
  readonly title: string;
  readonly section: string;
}

/** The guides in the order and the sections of docs/index.md. */
function* readGuides(): Generator<Document, void> {
  let section = 'Start';
  yield { path: 'docs/index.md', title: 'All guides', section };
  for (const line of readFileSync(join(ROOT, 'docs/index.md'), 'utf8').split('\n')) {
    section = /^## (.+)/.exec(line)?.[1] ?? section;
    const [, title, path] = /^\| \[(.+?)\]\((.+?\.md)\)/.exec(line) ?? [];
    if (title && path) yield { path: `docs/${path}`, title, section };
  }
}

const DOCUMENTS: readonly Document[] = [
  ...readGuides(),
  { path: 'CHANGELOG.md', title: 'Changelog', section: 'Project' },
  { path: 'CONTRIBUTING.md', title: 'Contributing', section: 'Project' },
  { path: 'SECURITY.md', title: 'Security policy', section: 'Project' },
];
/** The section of the navigation that has the modules. */
const API = 'API';
/** The sections in their order: the API is before the last, the project's own documents. */
const SECTIONS = [...new Set(DOCUMENTS.map(({ section }) => section))].toSpliced(-1, 0, API);

/** Opens the sections that a newcomer needs, unless the reader has closed them: TypeDoc keeps that under these keys. All sections are in sight then. */
const OPEN_GUIDES = `for (const section of ${JSON.stringify(SECTIONS.slice(0, 2))})
  localStorage['tsd-accordion-' + section] ??= 'true';`;

/** The category of an export, by the path that declares it; the longest that fits counts. */
const CATEGORIES: Readonly<Record<string, string>> = {
  'lib/runtime/': 'Sessions',
  'lib/tensor': 'Tensors',
  'lib/half.ts': 'Tensors',
  'lib/files/': 'Tensors',
  'lib/graph/': 'Graphs',
  'graphs/': 'Networks',
  'lib/weights/': 'Weights',
  'lib/checkpoint/': 'Weights',
  'lib/lowering/': 'Models',
  'lib/onnx/': 'Models',
  'lib/rewrite/': 'Models',
  'lib/insight/': 'Inspect and compare',
  'lib/parity/': 'Parity',
  'lib/errors.ts': 'Errors and limits',
  'lib/limits.ts': 'Errors and limits',
  'lib/graph/ops/activation.ts': 'Activations',
  'lib/graph/ops/arithmetic.ts': 'Arithmetic',
  'lib/graph/ops/axes.ts': 'Reductions and axes',
  'lib/graph/ops/convolution.ts': 'Convolutions',
  'lib/graph/ops/normalization.ts': 'Normalizations',
  'lib/graph/ops/pooling.ts': 'Pooling',
  'lib/graph/ops/products.ts': 'Products',
  'lib/graph/ops/reshaping.ts': 'Shapes',
  'lib/graph/ops/resizing.ts': 'Sizes',
  'lib/graph/ops/slicing.ts': 'Slices',
  'lib/graph/ops/': 'Other operators',
  'lib/graph/ops/index.ts': 'Graphs',
  'graphs/layers/convolution.ts': 'Convolutions',
  'graphs/layers/normalization.ts': 'Normalizations',
  'graphs/layers/': 'Other layers',
  'lib/images/': 'Pixels and tensors',
  'lib/images/png.ts': 'PNG files',
  'lib/images/segment.ts': 'Segmentation',
  'lib/images/mask.ts': 'Segmentation',
  'lib/chai.ts': 'Assertions',
  'lib/server/http/': 'Server',
  'lib/server/models/': 'Models',
  'lib/server/batching/': 'Batches',
};

const OPTIONS: TypeDocOptions = {
  name: 'onnx-groupnorm',
  entryPoints: [
    'lib/index.ts',
    'lib/images/index.ts',
    'graphs/layers/index.ts',
    'lib/server/index.ts',
    'lib/chai.ts',
    'lib/native-cpu.ts',
    'lib/browser.ts',
  ],
  projectDocuments: DOCUMENTS.map(({ path }) => path),
  tsconfig: 'tsconfig.build.json',
  // `npm run types` checks types.
  skipErrorChecking: true,
  out: 'site',
  router: 'guides',
  excludeInternal: true,
  excludeProtected: true,
  // Every export is on the page of one module: the module for browsers does not list those of Node again.
  excludeReferences: true,
  disableSources: true,
  // Types that only compute other types.
  intentionallyNotExported: [
    'BuildArguments',
    'DefinitionOf',
    'ElementArrays',
    'OptionTypes',
    'OptionValue',
    'PretrainedOptions',
    'RequiredNames',
    'WithDefault',
  ],
  categoryOrder: [...SECTIONS, ...Object.values(CATEGORIES)],
  kindSortOrder: ['Function', 'Class', 'Interface', 'TypeAlias', 'Variable', 'Namespace'],
  sort: ['documents-first', 'kind', 'alphabetical-ignoring-documents'],
  sortEntryPoints: false,
  navigation: { includeCategories: true },
  headings: { readme: false },
  useFirstParagraphOfCommentAsSummary: true,
  searchInComments: true,
  searchInDocuments: true,
  highlightLanguages: [
    'bash',
    'docker',
    'html',
    'javascript',
    'json',
    'nginx',
    'python',
    'typescript',
    'yaml',
  ],
  customCss: 'scripts/docs/site.css',
  customJs: 'scripts/docs/site-filter.js',
  hideGenerator: true,
};

/** Puts a document where its file is: `docs/sessions.html`. */
class Router extends KindRouter {
  override getIdealBaseName(reflection: Reflection): string {
    if (!reflection.isDocument()) return super.getIdealBaseName(reflection);
    return String(reflection.frontmatter['path']).replace(/\.md$/, '');
  }
}

/** Gives a document its section and its title in the navigation. */
function describeDocument(document: DocumentReflection): void {
  const path = `${document.name}.md`;
  const { title, section } = DOCUMENTS.find((one) => one.path === path)!;
  document.frontmatter = { path, category: section };
  document.name = title;
  if (path === 'docs/providers.md') document.content.push({ kind: 'text', text: everyProviderCase() });
}

/** Returns what the site adds to the page on providers. */
const everyProviderCase = (): string =>
  [
    '',
    '### Every case',
    'The largest difference from PyTorch. `*`: the case allows more than the default tolerance.',
    caseTable(readProviderReports('docs/providers/').cases),
  ].join('\n\n');

/** Gives the exports of a module or namespace their categories. */
function categorize(context: Context, module: DeclarationReflection): void {
  for (const child of module.children ?? []) {
    const file = context.getSymbolFromReflection(child)?.declarations?.[0]?.getSourceFile().fileName;
    const path = relative(ROOT, file ?? '').replaceAll('\\', '/');
    const [longest] = Object.keys(CATEGORIES)
      .filter((prefix) => path.startsWith(prefix))
      .sort((a, b) => b.length - a.length);
    if (longest === undefined) {
      context.logger.error(
        `${child.getFullName()}: CATEGORIES of scripts/docs/site.ts lacks its file, '${path}'`,
      );
    } else {
      setCategory(child, CATEGORIES[longest]!);
    }
    if (child.kindOf(ReflectionKind.Namespace)) categorize(context, child);
  }
}

function setCategory(reflection: DeclarationReflection, category: string): void {
  reflection.comment ??= new Comment();
  reflection.comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text: category }]));
}

/** Names the unions of literals: TypeScript forgets that `(typeof DTYPES)[number]` is `DType`. */
function nameUnions(project: ProjectReflection): void {
  const literalsOf = ({ types }: UnionType) =>
    types.filter((type) => type instanceof LiteralType && type.value !== null);
  const keyOf = (union: UnionType) => literalsOf(union).map(String).sort().join();
  const aliases = new Map<string, DeclarationReflection>();
  for (const reflection of Object.values(project.reflections)) {
    if (!reflection.isDeclaration() || !reflection.kindOf(ReflectionKind.TypeAlias)) continue;
    const { type } = reflection;
    if (type instanceof UnionType && literalsOf(type).length === type.types.length)
      aliases.set(keyOf(type), reflection);
  }
  const visitor = makeRecursiveVisitor({
    union(union) {
      const alias = aliases.get(keyOf(union));
      if (!alias || alias.type === union) return;
      const literals = literalsOf(union);
      const others = union.types.filter((type) => !literals.includes(type));
      union.types = [ReferenceType.createResolvedReference(alias.name, alias, project), ...others];
    },
  });
  for (const reflection of Object.values(project.reflections) as Partial<TypeParameterReflection>[]) {
    reflection.type?.visit(visitor);
    reflection.default?.visit(visitor);
  }
}

/**
 * Returns the functions and classes that names in texts link to. Names of types and layers mean something else as well: `Shape`
 * is an operator too, and `groupNorm` an option.
 */
function linkedExports({ children: modules = [] }: ProjectReflection): Map<string, DeclarationReflection> {
  const exports = new Map<string, DeclarationReflection>();
  for (const { name: module, children = [] } of modules) {
    for (const child of children) {
      const isLinked =
        child.kindOf([ReflectionKind.Function, ReflectionKind.Class]) &&
        !module.endsWith('/layers') &&
        child.name !== 'default';
      if (isLinked && !exports.has(child.name)) exports.set(child.name, child);
    }
  }
  return exports;
}

/** Links the classes of errors, and the names of functions, in every `@throws`. */
function linkThrows(project: ProjectReflection): void {
  const exports = linkedExports(project);
  const link = (part: CommentDisplayPart): CommentDisplayPart[] => {
    const texts =
      part.kind === 'text' ? part.text.split(/(\b\w+Error\b)/) : part.kind === 'code' ? [part.text] : [];
    if (texts.length === 0) return [part];
    return texts.map((text) => {
      const target = exports.get(text.replaceAll('`', ''));
      if (!target) return { kind: part.kind, text } as CommentDisplayPart;
      const tag = part.kind === 'code' ? '@linkcode' : '@link';
      return { kind: 'inline-tag', tag, text: target.name, target };
    });
  };
  for (const { comment } of Object.values(project.reflections))
    for (const tag of comment?.blockTags ?? [])
      if (tag.tag === '@throws') tag.content = tag.content.flatMap(link);
}

/** Links the names of functions and classes in the text of a document to their pages. */
function linkExports(page: PageEvent, router: Router): void {
  const { model, contents, project } = page;
  if (!(model instanceof DocumentReflection || model instanceof ProjectReflection) || contents === undefined)
    return;
  const exports = linkedExports(project);
  page.contents = contents.replace(/(?<!<a [^>]*>)<code>(\w+)<\/code>/g, (code, name: string) => {
    const target = exports.get(name);
    return target ? `<a href="${router.relativeUrl(model, target)}">${code}</a>` : code;
  });
}

/** The folder of the page that runs models in the browser. */
const PAGE = 'page';

process.chdir(ROOT);
const app = await Application.bootstrap(OPTIONS);
for (const name of readdirSync('docs')) {
  if (name.endsWith('.md') && !DOCUMENTS.some(({ path }) => path === `docs/${name}`))
    app.logger.error(`docs/index.md lacks ${name}`);
}
app.renderer.defineRouter('guides', Router);
app.renderer.hooks.on('body.begin', () =>
  JSX.createElement('script', null, JSX.createElement(JSX.Raw, { html: OPEN_GUIDES })),
);
app.renderer.hooks.on('sidebar.begin', (context) =>
  JSX.createElement(
    'a',
    { href: context.relativeURL(`${PAGE}/index.html`) ?? '' },
    'Try a model in the browser',
  ),
);
app.renderer.on(PageEvent.END, (page) => linkExports(page, app.renderer.router as Router));
app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => describeDocument(document));
app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
  for (const module of context.project.children ?? []) {
    setCategory(module, API);
    categorize(context, module);
  }
  nameUnions(context.project);
  linkThrows(context.project);
});
const project = await app.convert();
if (project) {
  app.validate(project);
  await app.generateOutputs(project);
  await buildWeb(`site/${PAGE}`);
  for (const problem of await checkSite('site')) app.logger.error(problem);
}
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exitCode = 1;
