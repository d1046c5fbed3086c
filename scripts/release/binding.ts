/** Reads native/binding.gyp, so that the flags of the prebuilt binaries and of node-gyp's build stand in one place. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, type Target } from './targets.js';

/** A C++ file, with its path from native/ and the flags of its own. */
export interface Source {
  readonly path: string;
  readonly flags: readonly string[];
}

/** The part of gyp's language that binding.gyp uses. */
interface GypTarget {
  readonly sources?: readonly string[];
  readonly cflags_cc?: readonly string[];
  readonly defines?: readonly string[];
  readonly include_dirs?: readonly string[];
  readonly conditions?: readonly (readonly [condition: string, then: GypTarget])[];
}
interface Gyp {
  readonly variables: Readonly<Record<string, readonly string[]>>;
  readonly targets: readonly GypTarget[];
}

const NATIVE = join(ROOT, 'native');
/** A gyp file is a literal of Python. */
const AS_JSON = 'import ast, json, sys; print(json.dumps(ast.literal_eval(sys.stdin.read())))';

/** Returns the sources of the addon for one platform. */
export function readSources({ platform, arch }: Target): Source[] {
  const input = readFileSync(join(NATIVE, 'binding.gyp'));
  const gyp = JSON.parse(execFileSync('python3', ['-c', AS_JSON], { input, encoding: 'utf8' })) as Gyp;
  const facts: Readonly<Record<string, string>> = { OS: platform, target_arch: arch };
  const expand = (words: readonly string[] = []) => words.flatMap((word) => expandWord(word, gyp.variables));
  return gyp.targets.flatMap((target) => {
    const parts = [target, ...chosen(target, facts)];
    const flags = parts.flatMap(({ cflags_cc, defines, include_dirs }) => [
      ...expand(cflags_cc),
      ...expand(defines).map((define) => `-D${define}`),
      ...expand(include_dirs).map((folder) => `-I${folder}`),
    ]);
    return parts.flatMap(({ sources }) => expand(sources)).map((path) => ({ path, flags }));
  });
}

/** Returns the parts of a target whose condition is true. */
const chosen = ({ conditions = [] }: GypTarget, facts: Readonly<Record<string, string>>): GypTarget[] =>
  conditions.filter(([condition]) => isTrue(condition, facts)).map(([, then]) => then);

function isTrue(condition: string, facts: Readonly<Record<string, string>>): boolean {
  const [, name = '', value] = /^(\w+)=="(\w+)"$/.exec(condition) ?? [];
  if (!(name in facts)) throw new Error(`binding.gyp: cannot evaluate the condition ${condition}`);
  return facts[name] === value;
}

/** Expands a variable, `<@(name)`, and the output of a command, `<!(command)`. */
function expandWord(word: string, variables: Gyp['variables']): readonly string[] {
  const [, kind, content = ''] = /^<([@!])\((.*)\)$/s.exec(word) ?? [];
  if (kind === '@') return variables[content]!;
  if (kind === '!') return [execFileSync('sh', ['-c', content], { cwd: NATIVE, encoding: 'utf8' }).trim()];
  return [word];
}
