// @ts-check
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * The import table: what each folder or file may import besides itself and the COMMON files. An entry of a sub-folder
 * governs that sub-folder alone. CONTRIBUTING.md says why.
 */
const MAY_IMPORT = {
  'lib/files': [],
  'lib/html': [],
  'lib/shapes': [],
  'lib/graph': ['lib/shapes'],
  'lib/lowering': ['lib/graph', 'lib/shapes'],
  'lib/onnx': ['lib/graph', 'lib/lowering', 'lib/files'],
  'lib/onnx/protobuf': ['lib/graph', 'lib/files'],
  'lib/onnx/graph': ['lib/onnx/protobuf', 'lib/graph', 'lib/lowering'],
  'lib/rewrite': ['lib/graph', 'lib/shapes', 'lib/lowering', 'lib/onnx'],
  'lib/rewrite/analysis': ['lib/graph', 'lib/shapes', 'lib/lowering', 'lib/onnx'],
  'lib/rewrite/norms': ['lib/rewrite/analysis', 'lib/graph', 'lib/shapes', 'lib/lowering', 'lib/onnx'],
  'lib/rewrite/batch-norm': [
    'lib/rewrite/analysis',
    'lib/rewrite/norms',
    'lib/rewrite/convert.ts',
    'lib/graph',
    'lib/shapes',
    'lib/lowering',
    'lib/onnx',
  ],
  'lib/rewrite/blocked': [
    'lib/rewrite/analysis',
    'lib/rewrite/norms',
    'lib/graph',
    'lib/lowering',
    'lib/onnx',
  ],
  'lib/weights': ['lib/graph', 'lib/files'],
  'lib/runtime/core': ['lib/lowering', 'lib/onnx', 'lib/rewrite', 'lib/files'],
  'lib/runtime/model': [
    'lib/runtime/core',
    'lib/graph',
    'lib/lowering',
    'lib/onnx',
    'lib/rewrite',
    'lib/files',
  ],
  'lib/runtime/session': ['lib/runtime/core', 'lib/runtime/model', 'lib/graph', 'lib/lowering', 'lib/onnx'],
  'lib/runtime/ort-node': ['lib/runtime/core', 'lib/runtime/session', 'lib/files'],
  'lib/runtime/ort-web': ['lib/runtime/core', 'lib/runtime/session', 'lib/files'],
  'lib/runtime/native': [
    'lib/runtime/core',
    'lib/runtime/ort-node',
    'lib/graph',
    'lib/lowering',
    'lib/onnx',
    'lib/rewrite',
    'lib/files',
  ],
  'lib/runtime/node.ts': [
    'lib/runtime',
    '!lib/runtime/browser.ts',
    '!lib/runtime/native-cpu.ts',
    'lib/files',
    'lib/onnx',
  ],
  'lib/runtime/native-cpu.ts': ['lib/runtime', '!lib/runtime/browser.ts'],
  'lib/runtime/browser.ts': ['lib/runtime/core', 'lib/runtime/session', 'lib/runtime/ort-web'],
  'lib/checkpoint': ['graphs', 'lib/graph', 'lib/files', 'lib/weights'],
  'lib/insight/values': [
    'lib/onnx',
    'lib/rewrite',
    'lib/runtime/core',
    'lib/runtime/model',
    'lib/runtime/session',
    'lib/weights',
    'lib/files',
  ],
  'lib/insight/inspect': [
    'lib/insight/values',
    'lib/graph',
    'lib/shapes',
    'lib/lowering',
    'lib/onnx',
    'lib/rewrite',
    'lib/runtime',
  ],
  'lib/insight/compare': [
    'lib/insight/values',
    'lib/onnx',
    'lib/runtime',
    'lib/parity',
    'lib/weights',
    'lib/files',
  ],
  'lib/insight/node.ts': ['lib/insight', 'lib/onnx', 'lib/runtime', 'lib/weights', 'lib/files'],
  'lib/insight/browser.ts': ['lib/insight', 'lib/runtime'],
  'lib/parity': ['lib/graph', 'lib/lowering', 'lib/onnx', 'lib/runtime', 'lib/weights', 'lib/files'],
  'lib/deploy': ['lib/parity', 'lib/runtime/core', 'lib/weights'],
  'lib/images': ['lib/runtime/core'],
  'lib/server/batching': ['lib/runtime/core'],
  'lib/server/models': [
    'lib/server/batching',
    'lib/onnx',
    'lib/runtime',
    '!lib/runtime/browser.ts',
    'lib/files',
  ],
  'lib/server/http': ['lib/server', 'lib/runtime', '!lib/runtime/browser.ts', 'lib/files'],
  'lib/server/index.ts': ['lib/server'],
  'lib/server/protocol': ['lib/files', 'lib/runtime/core'],
  'lib/chai.ts': ['lib/parity', 'lib/runtime', 'lib/insight', 'lib/lowering'],
  'lib/cli/shared': ['lib', 'graphs', '!lib/cli/commands'],
  'lib/cli/commands': ['lib', 'graphs'],
  graphs: ['lib/graph', 'lib/weights'],
  'graphs/shared': ['lib/graph'],
  'graphs/layers': ['lib/graph'],
  'graphs/diffusers': ['graphs/shared', 'graphs/layers', 'lib/graph'],
  'graphs/timm': ['graphs/shared', 'graphs/layers', 'lib/graph'],
  web: ['lib', 'graphs'],
  bench: ['lib', 'graphs'],
  'scripts/package': [],
  'scripts/checks': ['lib'],
  'scripts/cuda': ['lib', 'graphs', 'bench', 'test/support'],
  'scripts/demo': ['lib'],
  'scripts/docs': ['lib', 'graphs', 'bench', 'test/support', 'test/web', 'scripts/web'],
  'scripts/release': ['lib'],
  'scripts/web': ['lib', 'web'],
};
/** The modules of lib/runtime that browsers load: they import nothing of Node. */
const IN_BROWSERS = [
  'lib/runtime/browser.ts',
  'lib/runtime/{core,model,session}/*.ts',
  'lib/runtime/ort-web/!(node).ts',
];
/** The top folders. A folder may import neither the other top folders nor its neighbours unless the table says so. */
const TOP_FOLDERS = ['lib', 'graphs', 'web', 'bench', 'scripts', 'test', 'native'];
const COMMON = [
  'arrays.ts',
  'disposal.ts',
  'errors.ts',
  'tensor.ts',
  'tensor-functions.ts',
  'half.ts',
  'limits.ts',
  'nearest.ts',
  'options.ts',
  'printable.ts',
  'quantities.ts',
];

/** Packages that one folder alone may know, so that their types stay behind one boundary. */
const OWNED_PACKAGES = {
  'lib/onnx': ['onnx-proto', 'protobufjs'],
  'lib/runtime': ['onnxruntime-node', 'onnxruntime-web', 'onnxruntime-common'],
  'lib/images': ['pngjs'],
  'lib/server/http': ['fastify', 'prom-client'],
  'lib/cli': ['close-with-grace', 'commander', 'junit-report-builder', 'ora', 'picocolors', 'pino'],
};

/** Verbs that began titles of tests which only the title of their suite made a sentence. */
const VERBS =
  'accepts|are|can|computes|converts|declares|describes|do|does|encodes|fails|finds|finishes|gives|has|have|ignores|is|keeps|' +
  'leaves|lets|lists|makes|may|measures|moves|passes|reads|refuses|removes|renames|replaces|reports|returns|rewrites|runs|' +
  'says|starts|survives|takes|tells|throws|uses|waits|writes';
const TITLES = [
  'Literal:first-child[value',
  'TemplateLiteral:first-child > TemplateElement:first-child[value.raw',
].map((title) => ({
  selector: `CallExpression[callee.name='it'] > ${title}=/^(?:${VERBS}) /]`,
  message:
    'Begin the title with the function or command that it is about, so that grep finds the whole sentence.',
}));

/** @param {string} path @param {string} folder Whether `path` is `folder` or lies in it. */
const isWithin = (path, folder) => path === folder || path.startsWith(`${folder}/`);

/** @param {string} folder @param {string[]} entries */
function importRules(folder, entries) {
  const allowed = entries.filter((entry) => !entry.startsWith('!'));
  const forbidden = entries.filter((entry) => entry.startsWith('!')).map((entry) => entry.slice(1));
  const message = `${folder} may import ${[...allowed, ...COMMON].join(', ')} (the import table in eslint.config.js).`;
  const zones = forbidden.map((from) => ({ target: `./${folder}`, from: `./${from}`, message }));
  for (const top of TOP_FOLDERS) {
    const open = [folder, ...allowed].filter((path) => isWithin(path, top));
    if (open.includes(top)) continue;
    const inTop = open.map((path) => path.slice(top.length + 1));
    const except = [...new Set([...inTop, ...(top === 'lib' ? COMMON : [])])];
    zones.push({ target: `./${folder}`, from: `./${top}`, except, message });
  }
  const packages = Object.entries(OWNED_PACKAGES)
    .filter(([owner]) => !isWithin(folder, owner))
    .flatMap(([owner, names]) =>
      names.map((name) => ({ name, message: `Only ${owner} knows this package.` })),
    );
  return {
    files: [folder.endsWith('.ts') ? folder : `${folder}/**/*.ts`],
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      'no-restricted-imports': ['error', { paths: packages }],
    },
  };
}

export default tseslint.config(
  {
    ignores: [
      'dist',
      'build',
      'site',
      'site',
      'web/dist',
      'demo/out',
      '.cuda-runtime',
      'node_modules',
      'test/fixtures',
    ],
  },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { 'import-x': importX },
    settings: {
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createNodeResolver({ extensionAlias: { '.js': ['.ts', '.js'] } })],
    },
    rules: {
      'import-x/no-cycle': 'error',
      'import-x/no-unresolved': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': 'off',
      eqeqeq: 'error',
      'no-control-regex': 'off',
    },
  },
  {
    files: ['lib/**/*.ts', 'graphs/**/*.ts'],
    ignores: ['lib/cli/**'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'Only lib/cli ends the process.' },
      ],
    },
  },
  ...Object.entries(MAY_IMPORT).map(([folder, allowed]) => importRules(folder, allowed)),
  ...COMMON.map((file) => importRules(`lib/${file}`, [])),
  {
    // chai's types are a global namespace, which a plugin adds to.
    files: ['lib/chai.ts'],
    rules: { '@typescript-eslint/no-namespace': ['error', { allowDeclarations: true }] },
  },
  {
    files: IN_BROWSERS,
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ group: ['node:*', '**/node.js'], message: 'Browsers load this module.' }] },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    // chai's assertions are property reads, and mocha's describe callbacks return what they return.
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-floating-promises': 'error',
      'no-restricted-syntax': ['error', ...TITLES],
    },
  },
  { files: ['**/*.js', '**/*.cjs', '**/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
  { files: ['**/*.cjs', '**/*.cts'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
