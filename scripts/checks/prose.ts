/** Finds phrases that readers stumble over in comments, messages and docs. `npm run lint` runs it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Each phrase with the words to use. CONTRIBUTING.md, "Language", has the rules behind them. */
const PHRASES: readonly (readonly [phrase: RegExp, advice: string])[] = [
  [/(?<!there )\b(?:is|are|was|were) no (?!longer|more|less)/i, "'is not a'"],
  [/\b(?:is|are) none\b(?! of)/, "'is not a', or name what is missing"],
  [/\bnothing (?:if|where|when|for)\b/i, "'undefined if'"],
  [/\bin the place of\b/i, "'in place of' or 'instead of'"],
  [/\bwhat (?:it|they) (?:is|are) (?:given|told)\b/i, 'name the argument'],
  [/\bnobody\b/i, 'name who: the caller, a node'],
  [/\bmodels? (?:of|that) others\b/i, "'existing models'"],
  [/\bwhere (?:it|that) is not to be had\b/i, "'where it is missing'"],
  [/\bis about the\b/i, 'say what needs what'],
  [/\b(?:a|an|the) one that\b|\bone that (?:is|has|was)\b/i, 'name the noun: tensor, node, file'],
];

/** Text that people read. The changelog of past releases and generated tables stay as they are. */
const PATTERNS = ['*.ts', '*.mjs', '*.cc', '*.h', '*.py', '*.sh', '*.md', '*.html', '*.js'];
const EXCLUDED = /^(?:CHANGELOG\.md|test\/fixtures\/|scripts\/checks\/prose\.ts)/;

const files = execFileSync('git', ['ls-files', '--', ...PATTERNS], { encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && !EXCLUDED.test(path));

let found = 0;
for (const path of files) {
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((line, index) => {
      for (const [phrase, advice] of PHRASES) {
        const match = phrase.exec(line);
        if (!match) continue;
        found += 1;
        console.error(`${path}:${index + 1}: '${match[0].trim()}': write ${advice}`);
      }
    });
}
if (found > 0) {
  console.error(`${found} phrases to write plainly (scripts/checks/prose.ts has the list)`);
  process.exitCode = 1;
}
