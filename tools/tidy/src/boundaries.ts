/**
 * Who may import whom, computed from the import specifiers themselves: the second net under the lint rule in
 * eslint.config.js, which skips itself when nx has no project graph at hand.
 *
 *     cli → lambda → engine, adapters → core ← client        tests, besides: servers        tools: all
 */
import { posix } from 'node:path';
import { importsOf } from './syntax.ts';
import { isTest, type Finding, type SourceFile } from './workspace-files.ts';

type Layer = 'core' | 'engine' | 'adapters' | 'client' | 'cli' | 'lambda' | 'servers' | 'tools';

export interface Project {
  /** Folder from the root, such as `packages/core`. */
  readonly folder: string;
  readonly name: string;
  readonly layer: string;
  /** The keys of `exports`: `.`, `./testing`. */
  readonly subpaths: readonly string[];
  /** The names of its npm scripts. */
  readonly scripts: readonly string[];
  /** Own projects in any kind of dependencies. */
  readonly dependencies: readonly string[];
}

const everything: readonly Layer[] = ['core', 'engine', 'adapters', 'client', 'cli', 'lambda', 'servers', 'tools'];
const allowed: Readonly<Record<Layer, readonly Layer[]>> = {
  core: [],
  engine: ['core'],
  adapters: ['core'],
  client: ['core'],
  cli: ['engine', 'adapters', 'lambda', 'core'],
  lambda: ['engine', 'adapters', 'core'],
  servers: everything,
  tools: everything,
};
const isLayer = (name: string): name is Layer => Object.hasOwn(allowed, name);
const rule = 'style: cli → lambda → engine, adapters → core ← client';

export function readProject(manifest: SourceFile): Project {
  const json = JSON.parse(manifest.text) as {
    name: string;
    exports?: Record<string, unknown>;
    scripts?: Record<string, string>;
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
    peerDependencies?: Record<string, string>;
    nx?: { tags?: string[] };
  };
  const tag = json.nx?.tags?.find((each) => each.startsWith('layer:')) ?? '';
  return {
    folder: posix.dirname(manifest.path),
    name: json.name,
    layer: tag.slice('layer:'.length),
    subpaths: Object.keys(json.exports ?? {}),
    scripts: Object.keys(json.scripts ?? {}),
    dependencies: Object.keys({ ...json.dependencies, ...json.devDependencies, ...json.peerDependencies }),
  };
}

/** @param files code files; those outside every project (such as root configuration) are passed over */
export function findBoundaryBreaks(projects: readonly Project[], files: readonly SourceFile[]): Finding[] {
  const findings = projects.flatMap((project) => findManifestBreaks(projects, project));
  for (const file of files) {
    const own = projects.find((project) => file.path.startsWith(`${project.folder}/`));
    if (own === undefined) continue;
    for (const { specifier, line } of importsOf(file)) {
      const broken = specifier.startsWith('.')
        ? judgeRelative(own, file, specifier)
        : judgePackage(projects, own, file, specifier);
      if (broken !== undefined) findings.push({ path: file.path, line, ...broken });
    }
  }
  return findings;
}

type Judgement = Pick<Finding, 'problem' | 'cure'> | undefined;

function findManifestBreaks(projects: readonly Project[], project: Project): Finding[] {
  const path = `${project.folder}/package.json`;
  if (!isLayer(project.layer)) {
    const cure = `give it "nx": { "tags": ["layer:…"] } with one of ${everything.join(', ')}`;
    return [{ path, problem: `${project.name} has no known layer`, cure }];
  }
  if (!project.scripts.includes('lint')) {
    const cure = 'copy the lint script from tools/tidy/package.json';
    return [{ path, problem: `${project.name} has no lint script, so the boundaries rule passes it over`, cure }];
  }
  const layer = project.layer;
  return projects
    .filter((other) => project.dependencies.includes(other.name) && !mayImport(layer, other.layer, true))
    .map((other) => ({
      path,
      problem: `${project.name} (${layer}) depends on ${other.name} (${other.layer})`,
      cure: `take the dependency out (${rule})`,
    }));
}

function judgeRelative(own: Project, file: SourceFile, specifier: string): Judgement {
  const target = posix.join(posix.dirname(file.path), specifier);
  if (!target.startsWith(`${own.folder}/`)) {
    return { problem: `'${specifier}' leaves ${own.name}`, cure: 'import the other package by its name' };
  }
  if (!isTest(file.path) && target.startsWith(`${own.folder}/testing/`)) {
    return {
      problem: `'${specifier}' brings test code into src`,
      cure: 'move what both need to src; testing may import src, never the other way',
    };
  }
  return undefined;
}

function judgePackage(projects: readonly Project[], own: Project, file: SourceFile, specifier: string): Judgement {
  const other = projects.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`));
  if (other === undefined) return undefined;
  if (!isLayer(own.layer) || (other !== own && !mayImport(own.layer, other.layer, isTest(file.path)))) {
    return {
      problem: `${own.name} (${own.layer}) imports '${specifier}' (${other.layer})`,
      cure: `go through a port in core/src/ports, or move the code to the layer that may know both (${rule})`,
    };
  }
  const subpath = `.${specifier.slice(other.name.length)}`;
  if (!other.subpaths.includes(subpath)) {
    return {
      problem: `'${specifier}' reaches inside ${other.name}`,
      cure: `import one of its exports (${other.subpaths.join(', ')}), or add a subpath to its package.json`,
    };
  }
  if (subpath === './testing' && !isTest(file.path) && own.layer !== 'tools' && own.layer !== 'servers') {
    return {
      problem: `'${specifier}' brings test code into src`,
      cure: `move what src needs to the src of ${other.name}`,
    };
  }
  return undefined;
}

const mayImport = (from: Layer, to: string, inTest: boolean): boolean =>
  allowed[from].some((layer) => layer === to) || (inTest && to === 'servers');
