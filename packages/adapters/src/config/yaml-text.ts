/**
 * A configuration file as text: YAML 1.2, of which JSON is a part. It gives the plain value for the schema, and for any
 * path of that value the line and column where it stands. Duplicate keys are errors: which of the two would count?
 */
import type { ConfigIssue } from '@keyferry/core';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Pair,
} from 'yaml';

export type IssuePath = readonly PropertyKey[];
/** Of what the path names, point at its value, or at its key: what is wrong may be either. */
export type Part = 'key' | 'value';

export class YamlText {
  private readonly document: Document.Parsed;
  private readonly lines = new LineCounter();
  /** The plain value; of a broken file as much as could be read. */
  readonly value: unknown;
  /** What makes it no good YAML. */
  readonly issues: readonly ConfigIssue[];
  /** The issues leave its structure in doubt, so that its value says nothing. */
  readonly broken: boolean;

  constructor(source: string) {
    this.document = parseDocument(source, { lineCounter: this.lines, prettyErrors: false, version: '1.2' });
    const { errors, warnings } = this.document;
    const aliases = this.aliasIssues();
    const plain = aliases.length === 0 ? this.toPlain() : { value: null, issues: [] };
    this.value = plain.value;
    this.broken = errors.some(({ code }) => code !== 'DUPLICATE_KEY') || aliases.length + plain.issues.length > 0;
    this.issues = [
      ...[...errors, ...warnings].map(({ pos, code, message }) => this.issueAt(pos[0], '', yamlMessage(code, message))),
      ...this.strayIssues(),
      ...aliases,
      ...plain.issues,
    ];
  }

  /** An issue about what `path` names; where the file has no such place, the nearest one around it. */
  issue(path: IssuePath, part: Part, message: string, suggestion: string | null = null): ConfigIssue {
    const at = this.find(path, part);
    return { ...this.issueAt(at, pathText(path), message), suggestion };
  }

  private issueAt(offset: number, path: string, message: string): ConfigIssue {
    const { line, col } = this.lines.linePos(offset);
    return { path, message, line: Math.max(line, 1), column: Math.max(col, 1), suggestion: null };
  }

  private find(path: IssuePath, part: Part): number {
    let node: Node | null = this.document.contents;
    let offset = 0;
    for (const [index, step] of path.entries()) {
      node = this.follow(node);
      const last = index === path.length - 1;
      if (isMap(node)) {
        const pair: Pair | undefined = node.items.find(({ key }) => keyText(key) === String(step));
        if (pair === undefined) return offset;
        const [key, value] = [pair.key as Node | null, pair.value as Node | null];
        offset = last && part === 'value' ? startOf(value, startOf(key, offset)) : startOf(key, offset);
        node = value;
      } else if (isSeq(node)) {
        node = (node.items[Number(step)] ?? null) as Node | null;
        offset = startOf(node, offset);
      } else return offset;
    }
    return offset;
  }

  private follow(node: Node | null): Node | null {
    return isAlias(node) ? (node.resolve(this.document) ?? null) : node;
  }

  /** What the parser lets pass: keys that are no text, another version of YAML. */
  private strayIssues(): ConfigIssue[] {
    const issues: ConfigIssue[] = [];
    const { yaml } = this.document.directives;
    if (yaml.explicit === true && yaml.version !== '1.2') issues.push(this.issueAt(0, '', 'YAML 1.2 is expected'));
    visit(this.document, {
      Pair: (_key, { key }) => {
        if (isScalar(key)) return;
        issues.push(this.issueAt(startOf(key as Node | null, 0), '', 'a key is expected to be a plain text'));
      },
    });
    return issues;
  }

  private aliasIssues(): ConfigIssue[] {
    const issues: ConfigIssue[] = [];
    visit(this.document, {
      Alias: (_key, alias) => {
        if (alias.resolve(this.document) !== undefined) return;
        issues.push(this.issueAt(startOf(alias, 0), '', 'an alias of an anchor that does not stand before it'));
      },
    });
    return issues;
  }

  private toPlain(): { readonly value: unknown; readonly issues: readonly ConfigIssue[] } {
    try {
      return { value: this.document.toJS() as unknown, issues: [] };
    } catch (error) {
      // Aliases of aliases, by which a small file becomes a huge value.
      if (!(error instanceof ReferenceError)) throw error;
      return { value: null, issues: [this.issueAt(0, '', 'its aliases stand for more than a configuration needs')] };
    }
  }
}

export function pathText(path: IssuePath): string {
  return path
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at === 0 ? '' : '.'}${String(step)}`))
    .join('');
}

function keyText(key: unknown): string | null {
  return isScalar(key) ? String(key.value) : null;
}

function startOf(node: Node | null, otherwise: number): number {
  // An empty value starts after its colon, where there is nothing to be seen.
  const empty = isScalar(node) && node.value === null && (node.source ?? '') === '';
  return empty ? otherwise : (node?.range?.[0] ?? otherwise);
}

const plainWords: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key stands twice',
  MULTIPLE_DOCS: 'one document is expected, and here a second one starts',
};

function yamlMessage(code: string, message: string): string {
  return plainWords[code] ?? `not valid YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}
