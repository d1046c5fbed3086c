/** What a user of the package sees in an editor: every export, and every member of it, says what it is. */
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The package's entries, for Node and for browsers, and some of the names that each exports. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  'lib/index.ts': ['createSession', 'Session', 'op.groupNormalization', 'GraphError'],
  'lib/browser.ts': ['createSession', 'Session', 'op.groupNormalization', 'GraphError'],
  'lib/images/index.ts': ['decodePng', 'segment', 'Mask'],
  'lib/chai.ts': ['default', 'MatchOptions'],
  'lib/server/index.ts': ['createServer', 'createBatcher', 'Batcher', 'ModelRepository', 'ServerOptions'],
  'graphs/layers/index.ts': ['conv', 'groupNorm', 'batchNorm', 'ConvOptions'],
  'lib/images/browser.ts': ['fromRgba', 'segment', 'Mask'],
};

let shared: ts.Program | undefined;

/** One program for all entries: most of their files are the same. */
function publicProgram(): ts.Program {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, (path) => ts.sys.readFile(path)) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const files = Object.keys(ENTRIES).map((entry) => `${ROOT}${entry}`);
  return (shared ??= ts.createProgram(files, options));
}

/** The type checker over the public API, and its symbols by name; those of `op` are `op.add`. */
function publicApi(entry: string): { checker: ts.TypeChecker; symbols: Map<string, ts.Symbol> } {
  const program = publicProgram();
  const checker = program.getTypeChecker();
  const symbols = new Map<string, ts.Symbol>();
  const collect = (module: ts.Symbol, prefix: string) => {
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (symbol.flags & ts.SymbolFlags.Module) collect(symbol, `${prefix}${exported.name}.`);
      else symbols.set(`${prefix}${exported.name}`, symbol);
    }
  };
  collect(checker.getSymbolAtLocation(program.getSourceFile(`${ROOT}${entry}`)!)!, '');
  return { checker, symbols };
}

const isOurs = (declaration: ts.Declaration): boolean => {
  const path = relative(ROOT, declaration.getSourceFile().fileName);
  return /^(lib|graphs)[\\/]/.test(path);
};

function isHidden(declaration: ts.Declaration): boolean {
  const { Private, Protected } = ts.ModifierFlags;
  const name = ts.getNameOfDeclaration(declaration);
  const isPrivate = name !== undefined && ts.isPrivateIdentifier(name);
  return isPrivate || (ts.getCombinedModifierFlags(declaration) & (Private | Protected)) !== 0;
}

/** The members of an interface, class or object type that are declared in this repository, inherited ones too. */
function membersOf(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol[] {
  if (!(symbol.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.Class | ts.SymbolFlags.TypeAlias)))
    return [];
  const type = checker.getDeclaredTypeOfSymbol(symbol);
  if (type.isUnion() || !(type.flags & ts.TypeFlags.Object)) return [];
  return type
    .getProperties()
    .filter(({ declarations = [] }) => declarations.some((one) => isOurs(one) && !isHidden(one)));
}

for (const [entry, names] of Object.entries(ENTRIES)) {
  describe(`the public API of ${entry}`, function () {
    this.timeout(60_000);
    let checker: ts.TypeChecker;
    let symbols: Map<string, ts.Symbol>;
    before(() => ({ checker, symbols } = publicApi(entry)));

    const isSilent = (symbol: ts.Symbol) => symbol.getDocumentationComment(checker).length === 0;

    it(`the check of the documentation sees the exports and members of ${entry}`, () => {
      expect([...symbols.keys()]).to.include.members([...names]);
      if (!symbols.has('Session')) return;
      expect(membersOf(checker, symbols.get('Session')!).map(({ name }) => name)).to.include('run');
      expect(membersOf(checker, symbols.get('GraphBuilder')!).map(({ name }) => name))
        .to.include.members(['input', 'parameter'])
        .and.not.include('state');
    });

    it(`${entry} documents every export`, () => {
      const silent = [...symbols].filter(([, symbol]) => isSilent(symbol)).map(([name]) => name);
      expect(silent).to.deep.equal([]);
    });

    it(`${entry} documents every member of its interfaces, types and classes`, () => {
      const silent = [...symbols].flatMap(([name, symbol]) =>
        membersOf(checker, symbol)
          .filter(isSilent)
          .map((member) => `${name}.${member.name}`),
      );
      expect(silent).to.deep.equal([]);
    });

    it(`${entry} documents with @throws every function that throws`, () => {
      const silent = [...symbols]
        .filter(([, symbol]) => symbol.flags & ts.SymbolFlags.Function)
        .filter(([, symbol]) => symbol.declarations!.some(throws))
        .filter(([, symbol]) => !symbol.getJsDocTags().some(({ name }) => name === 'throws'))
        .map(([name]) => name);
      expect(silent).to.deep.equal([]);
    });
  });
}

function throws(node: ts.Node): boolean {
  return ts.isThrowStatement(node) || (ts.forEachChild(node, throws) ?? false);
}
