/**
 * Makes JSON Schemas (2020-12) of types: each property with the text of its docstring. `undefined` is a property that
 * JSON leaves out. A number that JSON writes as `null`, because it is not finite, says so in its docstring.
 */
import ts from 'typescript';

/** A schema, or a part of it. */
export type Schema = Readonly<Record<string, unknown>>;

const IS_NULL_IN_JSON = /`null` in JSON/;

/** Returns the schema of an exported type of a file. */
export function schemaOf(program: ts.Program, file: string, typeName: string, head: Schema): Schema {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
  const symbol = checker.getExportsOfModule(module).find(({ name }) => name === typeName)!;
  const writer = new SchemaWriter(checker);
  const root = writer.object(checker.getDeclaredTypeOfSymbol(symbol), symbol);
  return {
    ...head,
    ...root,
    ...(writer.definitions.size > 0 && { $defs: Object.fromEntries(writer.definitions) }),
  };
}

class SchemaWriter {
  readonly definitions = new Map<string, Schema>();

  constructor(readonly checker: ts.TypeChecker) {}

  /** Returns the schema of an object with its properties. */
  object(type: ts.Type, symbol?: ts.Symbol): Schema {
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    for (const property of type.getProperties()) {
      const value = this.checker.getTypeOfSymbol(property);
      const types = value.isUnion() ? value.types : [value];
      const isOptional = types.some(({ flags }) => flags & ts.TypeFlags.Undefined);
      if (!isOptional && !(property.flags & ts.SymbolFlags.Optional)) required.push(property.name);
      const description = this.#textOf(property);
      const isNullable = description !== undefined && IS_NULL_IN_JSON.test(description);
      properties[property.name] = { ...(description && { description }), ...this.#value(value, isNullable) };
    }
    const description = symbol && this.#textOf(symbol);
    return {
      ...(description && { description }),
      type: 'object',
      ...(required.length > 0 && { required }),
      properties,
      additionalProperties: false,
    };
  }

  /** @param isNullable Whether the numbers of the value are `null` in JSON if they are not finite. */
  #value(type: ts.Type, isNullable: boolean): Schema {
    const parts = (type.isUnion() ? type.types : [type]).filter(
      ({ flags }) => !(flags & ts.TypeFlags.Undefined),
    );
    const isLiteral = (part: ts.Type): part is ts.LiteralType =>
      part.isStringLiteral() || part.isNumberLiteral();
    const literals = parts.filter(isLiteral).map(({ value }) => value);
    if (literals.length > 0 && literals.length === parts.length) {
      return literals.length === 1 ? { const: literals[0] } : { enum: literals };
    }
    const schemas = unique([
      ...parts.map((part) => this.#part(part, isNullable)),
      ...(isNullable && parts.some(({ flags }) => flags & ts.TypeFlags.NumberLike) ? [{ type: 'null' }] : []),
    ]);
    if (schemas.length === 1) return schemas[0]!;
    const names = schemas.map((schema) =>
      Object.keys(schema).join() === 'type' ? schema['type'] : undefined,
    );
    return names.includes(undefined) ? { anyOf: schemas } : { type: names };
  }

  #part(type: ts.Type, isNullable: boolean): Schema {
    const { flags } = type;
    if (flags & ts.TypeFlags.Unknown) return {};
    if (flags & ts.TypeFlags.Null) return { type: 'null' };
    if (flags & ts.TypeFlags.BooleanLike) return { type: 'boolean' };
    if (flags & ts.TypeFlags.NumberLike) return { type: 'number' };
    if (flags & ts.TypeFlags.StringLike) return { type: 'string' };
    if (!(flags & ts.TypeFlags.Object)) throw new Error(`no schema of ${this.checker.typeToString(type)}`);
    if (this.checker.isArrayType(type)) {
      return {
        type: 'array',
        items: this.#value(this.checker.getTypeArguments(type as ts.TypeReference)[0]!, isNullable),
      };
    }
    const index = this.checker.getIndexInfoOfType(type, ts.IndexKind.String);
    if (index) return { type: 'object', additionalProperties: this.#value(index.type, isNullable) };
    const { symbol } = type;
    if (!(symbol.flags & ts.SymbolFlags.Interface)) return this.object(type);
    if (!this.definitions.has(symbol.name)) {
      this.definitions.set(symbol.name, {});
      this.definitions.set(symbol.name, this.object(type, symbol));
    }
    return { $ref: `#/$defs/${symbol.name}` };
  }

  /** Returns a docstring as one paragraph, in the words of JSON. */
  #textOf(symbol: ts.Symbol): string | undefined {
    const text = symbol
      .getDocumentationComment(this.checker)
      .map(({ text: part }) => part)
      .join('');
    return (
      text
        .replace(/\{@link\s+([^}|\s]+)[^}]*\}/g, '`$1`')
        .replaceAll('`undefined`', 'absent')
        .replace(/\s+/g, ' ')
        .trim() || undefined
    );
  }
}

function unique(schemas: readonly Schema[]): Schema[] {
  return [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
}
