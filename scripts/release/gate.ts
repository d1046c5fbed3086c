/** What a prebuilt binary must be: it needs the C library and Node-API only, and has the protections of its platform. */
import { type Binary, type Import } from './binary.js';
import { EXPORTS } from './compile.js';
import type { Target } from './targets.js';

/** The oldest glibc that ONNX Runtime's own library runs on, and so the newest that a binary may ask for. */
const NEWEST_GLIBC = 28;

interface Rules {
  readonly format: Binary['format'];
  /** Libraries of the operating system. */
  readonly libraries: RegExp;
  readonly protections: readonly string[];
}

const RULES: Readonly<Record<Target['platform'], Rules>> = {
  linux: {
    format: 'ELF',
    libraries: /^(lib(c|m|dl|pthread)\.so\.\d|ld-linux-.*\.so\.\d)$/,
    protections: ['aslr', 'nx', 'relro', 'now', 'nodelete'],
  },
  win32: { format: 'PE', libraries: /^(kernel32|api-ms-win-crt-.*)\.dll$/i, protections: ['aslr', 'nx'] },
  darwin: {
    format: 'Mach-O',
    libraries: /^\/usr\/lib\/libSystem\.B\.dylib$/,
    protections: ['aslr', 'nx', 'signed'],
  },
};

/** Returns what is wrong with a binary, one sentence each. */
export function faultsOf(binary: Binary, { platform, arch }: Target): string[] {
  const rules = RULES[platform];
  const faults: string[] = [];
  if (binary.format !== rules.format || binary.arch !== arch)
    faults.push(`it is ${binary.format} for ${binary.arch}`);
  const exported = [...binary.exports].sort().join(', ');
  if (exported !== EXPORTS.join(', ')) faults.push(`it exports ${exported}`);
  for (const library of binary.libraries) {
    if (!rules.libraries.test(library)) faults.push(`it needs the library ${library}`);
  }
  for (const symbol of binary.imports) {
    if (!isAllowed(symbol)) faults.push(`it needs ${symbol.name} from ${symbol.from ?? 'the process'}`);
  }
  for (const protection of rules.protections) {
    if (!binary.protections.includes(protection)) faults.push(`it lacks the protection ${protection}`);
  }
  return faults;
}

/** Whether a symbol is Node-API's, of an old enough glibc, or of a library, which has a rule of its own. */
function isAllowed({ name, from }: Import): boolean {
  if (from === undefined) return /^(napi|node_api)_/.test(name);
  const [, minor] = /^GLIBC_2\.(\d+)/.exec(from) ?? [];
  return minor === undefined || Number(minor) <= NEWEST_GLIBC;
}
