/** The shape of a rule of a migration: a part of schema.ts. */
import { compilePattern, compileTemplates, type JsonEdit } from '@keyferry/core';
import * as z from 'zod';
import type { ProgramConfig, RenameConfig, RuleConfig, ValueMapConfig } from './resolved-config.ts';
import { choice, duration, expects, glob, text } from './scalars.ts';

const globs = z.array(glob, { error: expects('a list of globs') }).min(1, 'at least one glob is expected');
const pointer = z
  .string({ error: expects('a JSON pointer, such as /a/b,') })
  .regex(/^(\/|$)/, 'a JSON pointer begins with a slash, or is empty');

const jsonEdit = z
  .strictObject({
    set: pointer.optional().describe('where to put `to`'),
    remove: pointer.optional().describe('what to take out'),
    move: pointer.optional().describe('what to put at the pointer `to` instead'),
    to: z.unknown().optional(),
  })
  .transform(({ set, remove, move, to }, context): JsonEdit => {
    const given = [set, remove, move].filter((path) => path !== undefined);
    if (given.length !== 1) context.addIssue('one of set, remove, move is expected');
    if (set !== undefined) return { kind: 'set', path: set, to: to ?? null };
    if (remove !== undefined) return { kind: 'remove', path: remove };
    if (typeof to !== 'string') context.addIssue('a move needs to: the pointer to move to');
    return { kind: 'move', path: move ?? '', to: typeof to === 'string' ? to : '' };
  });

const valueMap = z
  .strictObject({
    base64: choice(['encode', 'decode']).optional(),
    gzip: choice(['compress', 'decompress']).optional(),
    json: z
      .array(jsonEdit, { error: expects('a list of edits') })
      .optional()
      .describe('edits of JSON values'),
    keys: globs.optional().describe('globs over target keys that it is for; all of them by default'),
  })
  .transform(({ base64, gzip, json, keys = null }, context): { map: ValueMapConfig; keys: string[] | null } => {
    const given = [base64, gzip, json].filter((map) => map !== undefined);
    if (given.length !== 1) context.addIssue('one of base64, gzip, json is expected');
    if (base64 !== undefined) return { map: { kind: 'base64', direction: base64 }, keys };
    if (gzip !== undefined) return { map: { kind: 'gzip', direction: gzip }, keys };
    return { map: { kind: 'json', edits: json ?? [] }, keys };
  });

const rename = z
  .strictObject({
    prefix: text.optional().describe('keys that begin with this get `to` in its place'),
    pattern: text
      .optional()
      .describe('regular expression; keys that it matches as a whole become `to`, with $1, $<name> and $& filled in'),
    template: text
      .optional()
      .describe('shape of path segments, such as /{env}/{service}/{rest...}; keys that have it become `to`'),
    to: z.string({ error: expects('what keys become') }),
  })
  .transform(({ prefix: start, pattern, template, to }, context): RenameConfig => {
    const given = [start, pattern, template].filter((part) => part !== undefined);
    if (given.length !== 1) context.addIssue('one of prefix, pattern, template is expected');
    if (pattern !== undefined) {
      const compiled = compilePattern(pattern, to);
      if (!compiled.ok) addRenameIssue(context, compiled.part, compiled.why);
      return { kind: 'pattern', pattern, to };
    }
    if (template !== undefined) {
      const compiled = compileTemplates(template, to);
      if (!compiled.ok) addRenameIssue(context, compiled.part, compiled.why);
      return { kind: 'template', template, to };
    }
    return { kind: 'prefix', prefix: start ?? '', to };
  });

const renameWords = {
  pattern: 'a regular expression is expected',
  template: 'a template of path segments is expected',
  to: 'this cannot be filled in',
};

function addRenameIssue(context: z.RefinementCtx, part: keyof typeof renameWords, why: string): void {
  context.addIssue({ code: 'custom', path: [part], message: `${renameWords[part]}: ${why}` });
}

const texts = (what: string) => z.array(text, { error: expects(what) });

const program = z
  .strictObject({
    run: texts('a list of the program and its arguments')
      .min(1, 'the path of a program is expected')
      .refine(
        ([path = '']) => path.includes('/'),
        'a path with a slash is expected, such as ./transform: none is looked up',
      )
      .describe('path of the program, relative to this file, and its arguments; no shell is involved'),
    protocol: choice(['json-lines', 'etcdctl-migrate']).describe(
      'how it is spoken with: as protocols/record-programs.md says, or as a transformer of etcdctl migrate',
    ),
    files: texts('a list of paths')
      .default([])
      .describe('files and directories that it consists of besides; they are hashed into the plan with it'),
    env: texts('a list of names of variables')
      .default([])
      .describe('variables of the environment that it gets to see besides PATH; their values are shown nowhere'),
    timeout: duration.prefault('60s').describe('how long it may neither take what it is given nor answer'),
  })
  .transform(({ timeout, ...rest }): ProgramConfig => ({ ...rest, timeoutMs: timeout }));

export const rule = z
  .strictObject({
    ttl: z
      .strictObject({
        toLease: z.strictObject({
          bucket: duration.describe('keys whose TTLs end within the same bucket share a lease'),
        }),
      })
      .optional()
      .describe('how records that expire are carried over'),
    include: globs.optional().describe('carry only keys that match one of these globs'),
    exclude: globs.optional().describe('leave out keys that match one of these globs'),
    value: valueMap.optional().describe('what to make of values'),
    rename: rename.optional().describe('what to make of keys'),
    module: text
      .optional()
      .describe('path of a module of your own, relative to this file: a pure function over records (guides/rules.md)'),
    program: program.optional().describe('a program of your own that records go through (guides/programs.md)'),
  })
  .transform(({ ttl, include, exclude, value, rename: renaming, module, program: ran }, context): RuleConfig => {
    const given = [ttl, include, exclude, value, renaming, module, ran].filter((part) => part !== undefined);
    if (given.length !== 1) {
      context.addIssue('one of ttl, include, exclude, value, rename, module, program is expected in each rule');
    }
    if (ttl !== undefined) return { ttl: { toLease: { bucketMs: ttl.toLease.bucket } } };
    if (include !== undefined) return { include };
    if (value !== undefined) return { value };
    if (renaming !== undefined) return { rename: renaming };
    if (module !== undefined) return { module };
    if (ran !== undefined) return { program: ran };
    return { exclude: exclude ?? [] };
  });
