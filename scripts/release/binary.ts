/** Reads what a loader reads of a shared library: its imports, exports and protections. ELF, PE and Mach-O, of 64 bits. */

export interface Binary {
  readonly format: 'ELF' | 'PE' | 'Mach-O';
  readonly arch: 'x64' | 'arm64' | 'other';
  readonly exports: readonly string[];
  readonly imports: readonly Import[];
  /** The libraries that it needs. */
  readonly libraries: readonly string[];
  /** `aslr` (loads at any address), `nx` (no memory is writable and executable), and what else its format has. */
  readonly protections: readonly string[];
}

export interface Import {
  readonly name: string;
  /** Where the loader looks for it: a version such as `GLIBC_2.17`, or a library; `undefined` for the whole process. */
  readonly from?: string | undefined;
}

/** @throws Error if the bytes are in no format that this reads. */
export function readBinary(bytes: Buffer): Binary {
  if (bytes.readUInt32BE(0) === 0x7f454c46) return readElf(bytes);
  if (bytes.readUInt16BE(0) === 0x4d5a) return readPe(bytes);
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return readMachO(bytes);
  throw new Error('neither an ELF, a PE nor a Mach-O file of 64 bits');
}

const present = (protections: Readonly<Record<string, boolean>>): string[] =>
  Object.keys(protections).filter((name) => protections[name]);

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const at = (bytes: Buffer, offset: number): string =>
  bytes.toString('utf8', offset, bytes.indexOf(0, offset));

const u64 = (bytes: Buffer, offset: number): number => Number(bytes.readBigUInt64LE(offset));

/** https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html; symbol versions are in the Linux Standard Base. */
function readElf(bytes: Buffer): Binary {
  const headers = range(bytes.readUInt16LE(60)).map((index) => {
    const header = u64(bytes, 40) + index * bytes.readUInt16LE(58);
    const [offset, size] = [u64(bytes, header + 24), u64(bytes, header + 32)];
    return { type: bytes.readUInt32LE(header + 4), offset, size, link: bytes.readUInt32LE(header + 40) };
  });
  const section = (type: number) => headers.find((header) => header.type === type)!;
  const [symbols, dynamic, versions] = [section(11), section(6), section(0x6fffffff)];
  const strings = headers[symbols.link]!.offset;
  const versionNames = readVersionNames(bytes, section(0x6ffffffe).offset, strings);
  const named = range(symbols.size / 24)
    .map((index) => {
      const symbol = symbols.offset + index * 24;
      const version = bytes.readUInt16LE(versions.offset + index * 2) & 0x7fff;
      const name = at(bytes, strings + bytes.readUInt32LE(symbol));
      return { name, isDefined: bytes.readUInt16LE(symbol + 6) !== 0, from: versionNames.get(version) };
    })
    .filter(({ name }) => name !== '');
  const entries = range(dynamic.size / 16).map((index) => {
    const entry = dynamic.offset + index * 16;
    return { tag: u64(bytes, entry), value: u64(bytes, entry + 8) };
  });
  const flags = (tag: number) => entries.find((entry) => entry.tag === tag)?.value ?? 0;
  const segments = range(bytes.readUInt16LE(56)).map((index) => {
    const segment = u64(bytes, 32) + index * bytes.readUInt16LE(54);
    return { type: bytes.readUInt32LE(segment), flags: bytes.readUInt32LE(segment + 4) };
  });
  const [GNU_STACK, GNU_RELRO] = [0x6474e551, 0x6474e552];
  const [NEEDED, TEXTREL, FLAGS, FLAGS_1] = [1, 22, 30, 0x6ffffffb];
  return {
    format: 'ELF',
    arch: archOf(bytes.readUInt16LE(18), 62, 183),
    exports: named.filter(({ isDefined }) => isDefined).map(({ name }) => name),
    imports: named.filter(({ isDefined }) => !isDefined).map(({ name, from }) => ({ name, from })),
    libraries: entries.filter(({ tag }) => tag === NEEDED).map(({ value }) => at(bytes, strings + value)),
    protections: present({
      aslr: bytes.readUInt16LE(16) === 3 && !entries.some(({ tag }) => tag === TEXTREL),
      nx: segments.some(({ type }) => type === GNU_STACK) && !segments.some((s) => (s.flags & 3) === 3),
      relro: segments.some(({ type }) => type === GNU_RELRO),
      now: (flags(FLAGS) & 8) !== 0,
      nodelete: (flags(FLAGS_1) & 8) !== 0,
    }),
  };
}

/** Returns the names of the versions that symbols ask for, by their indexes. */
function readVersionNames(bytes: Buffer, start: number, strings: number): Map<number, string> {
  const names = new Map<number, string>();
  for (let need = start, next = 1; next !== 0; need += next) {
    next = bytes.readUInt32LE(need + 12);
    let aux = need + bytes.readUInt32LE(need + 8);
    for (let count = bytes.readUInt16LE(need + 2); count > 0; count--) {
      names.set(bytes.readUInt16LE(aux + 6), at(bytes, strings + bytes.readUInt32LE(aux + 8)));
      aux += bytes.readUInt32LE(aux + 12);
    }
  }
  return names;
}

/** https://learn.microsoft.com/windows/win32/debug/pe-format */
function readPe(bytes: Buffer): Binary {
  const header = bytes.readUInt32LE(0x3c);
  const optional = header + 24;
  const sections = optional + bytes.readUInt16LE(header + 20);
  const tables = range(bytes.readUInt16LE(header + 6)).map((index) => {
    const section = sections + index * 40;
    const [size, address, , offset] = range(4).map((field) => bytes.readUInt32LE(section + 8 + field * 4));
    return { size: size!, address: address!, offset: offset!, flags: bytes.readUInt32LE(section + 36) };
  });
  const file = (address: number): number => {
    const table = tables.find((t) => address >= t.address && address < t.address + t.size)!;
    return address - table.address + table.offset;
  };
  const directory = (index: number) => bytes.readUInt32LE(optional + 112 + index * 8);
  const exported = file(directory(0));
  const names = file(bytes.readUInt32LE(exported + 32));
  const imports: Import[] = [];
  const libraries: string[] = [];
  for (let entry = file(directory(1)); bytes.readUInt32LE(entry + 12) !== 0; entry += 20) {
    const from = at(bytes, file(bytes.readUInt32LE(entry + 12)));
    libraries.push(from);
    for (let thunk = file(bytes.readUInt32LE(entry)); u64(bytes, thunk) !== 0; thunk += 8) {
      imports.push({ name: at(bytes, file(bytes.readUInt32LE(thunk)) + 2), from });
    }
  }
  const characteristics = bytes.readUInt16LE(optional + 70);
  const isExecutable = (flags: number) => (flags & 0x20000000) !== 0;
  const isWritable = (flags: number) => (flags & 0x80000000) !== 0;
  const DELAYED = 13;
  return {
    format: 'PE',
    arch: archOf(bytes.readUInt16LE(header + 4), 0x8664, 0xaa64),
    exports: range(bytes.readUInt32LE(exported + 24)).map((index) =>
      at(bytes, file(bytes.readUInt32LE(names + index * 4))),
    ),
    imports,
    libraries: directory(DELAYED) === 0 ? libraries : [...libraries, 'a library that is loaded late'],
    protections: present({
      aslr: (characteristics & 0x40) !== 0 && (characteristics & 0x20) !== 0,
      nx:
        (characteristics & 0x100) !== 0 &&
        !tables.some(({ flags }) => isExecutable(flags) && isWritable(flags)),
    }),
  };
}

/** Apple's mach-o/loader.h and mach-o/nlist.h. */
function readMachO(bytes: Buffer): Binary {
  const commands: { type: number; offset: number }[] = [];
  for (let offset = 32; commands.length < bytes.readUInt32LE(16); offset += bytes.readUInt32LE(offset + 4)) {
    commands.push({ type: bytes.readUInt32LE(offset), offset });
  }
  const offsets = (wanted: number) =>
    commands.filter(({ type }) => type === wanted).map(({ offset }) => offset);
  const [SEGMENT_64, SYMTAB, LOAD_DYLIB, CODE_SIGNATURE] = [0x19, 0x2, 0xc, 0x1d];
  const libraries = offsets(LOAD_DYLIB).map((offset) => at(bytes, offset + bytes.readUInt32LE(offset + 8)));
  const [table, count, strings] = range(3).map((field) =>
    bytes.readUInt32LE(offsets(SYMTAB)[0]! + 8 + field * 4),
  );
  const external = range(count!)
    .map((index) => {
      const symbol = table! + index * 16;
      const [type, library] = [bytes[symbol + 4]!, bytes[symbol + 7]!];
      return {
        name: at(bytes, strings! + bytes.readUInt32LE(symbol) + 1),
        type,
        from: libraries[library - 1],
      };
    })
    .filter(({ type }) => (type & 0xe1) === 1);
  const isUndefined = ({ type }: { type: number }) => (type & 0xe) === 0;
  return {
    format: 'Mach-O',
    arch: archOf(bytes.readUInt32LE(4), 0x01000007, 0x0100000c),
    exports: external.filter((symbol) => !isUndefined(symbol)).map(({ name }) => name),
    imports: external.filter(isUndefined).map(({ name, from }) => ({ name, from })),
    libraries,
    protections: present({
      // Every bundle loads at any address.
      aslr: bytes.readUInt32LE(12) === 8,
      nx: !offsets(SEGMENT_64).some((offset) => (bytes.readUInt32LE(offset + 60) & 6) === 6),
      signed: offsets(CODE_SIGNATURE).length === 1,
    }),
  };
}

const archOf = (machine: number, x64: number, arm64: number): Binary['arch'] =>
  machine === x64 ? 'x64' : machine === arm64 ? 'arm64' : 'other';
