/**
 * Goal: code is kept only where nobody but this user can put some, and wherever it cannot be kept the program runs all the same.
 * Method: homes of every kind, made for real; another user is another number.
 */
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compiledCodeFolder } from './compiled-code.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'keyferry-home-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const userId = process.getuid?.();

describe.skipIf(userId === undefined)('compiled code', () => {
  it('is kept in the cache folder of the user, which nobody else can read', async () => {
    const folder = compiledCodeFolder({ env: { HOME: home }, userId });
    expect(folder).toBe(join(home, '.cache/keyferry/compiled'));
    expect((await stat(folder ?? '')).mode & 0o777).toBe(0o700);
    expect(compiledCodeFolder({ env: { HOME: home }, userId }), 'and again').toBe(folder);
  });

  it('is kept where XDG_CACHE_HOME says, as long as that is a whole path', () => {
    const env = { HOME: home, XDG_CACHE_HOME: home };
    expect(compiledCodeFolder({ env, userId })).toBe(join(home, 'keyferry/compiled'));
    expect(compiledCodeFolder({ env: { ...env, XDG_CACHE_HOME: 'caches' }, userId })).toContain('/.cache/');
  });

  it.each([
    { name: 'there is no home', make: async () => ({}) },
    { name: 'the home is not there', make: async () => ({ HOME: join(home, 'gone') }) },
    {
      name: 'a file is where the folder would be',
      make: async () => {
        await writeFile(join(home, '.cache'), '');
        return { HOME: home };
      },
    },
    {
      name: 'others may write the cache folder',
      make: async () => {
        await mkdir(join(home, '.cache'));
        await chmod(join(home, '.cache'), 0o777);
        return { HOME: home };
      },
    },
    {
      name: 'others may write the very folder',
      make: async () => {
        await mkdir(join(home, '.cache/keyferry/compiled'), { recursive: true });
        await chmod(join(home, '.cache/keyferry/compiled'), 0o770);
        return { HOME: home };
      },
    },
    {
      name: 'the folder is a link',
      make: async () => {
        await mkdir(join(home, '.cache/keyferry'), { recursive: true });
        await mkdir(join(home, 'elsewhere'));
        await symlink(join(home, 'elsewhere'), join(home, '.cache/keyferry/compiled'));
        return { HOME: home };
      },
    },
  ])('is kept nowhere when $name', async ({ make }) => {
    expect(compiledCodeFolder({ env: await make(), userId })).toBeNull();
  });

  it('is kept nowhere in the home of somebody else, and nothing is made there', async () => {
    expect(compiledCodeFolder({ env: { HOME: home }, userId: (userId ?? 0) + 1 })).toBeNull();
    expect(await readdir(home)).toEqual([]);
  });
});
