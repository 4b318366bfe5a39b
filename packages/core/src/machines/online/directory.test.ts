/** Goal: what an application names as a directory is one, and each key below it is told for what it is. Method: tables, and a law. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isKeyferryError } from '../../errors/keyferry-error.ts';
import { childOf, directory, markOf, prefixOf } from './directory.ts';

describe('a directory', () => {
  it.each(['/app', '/app/queue', 'app', '/app/.hidden', '/a..b/c'])('may be %s', (path) => {
    expect(directory(path)).toBe(path);
  });

  it.each(['', '/', '/app/', '//app', '/app//queue', '/app/..', '/app/./queue', '..'])('may not be "%s"', (path) => {
    const refused = (): unknown => {
      try {
        return directory(path);
      } catch (error) {
        return isKeyferryError(error, 'client.path-refused');
      }
    };
    expect(refused()).toBe(true);
  });

  it('holds records, its mark, and directories', () => {
    const at = directory('/app/queue');
    expect(childOf(at, '/app/queue/1')).toEqual({ kind: 'record' });
    expect(childOf(at, markOf(at))).toEqual({ kind: 'mark' });
    expect(childOf(at, '/app/queue/sub/x')).toEqual({ kind: 'below', directory: '/app/queue/sub' });
    expect(childOf(at, '/app/queue/sub/.directory')).toEqual({ kind: 'below', directory: '/app/queue/sub' });
  });

  it('law: a key below it lies in it, or below exactly one directory that lies in it', () => {
    const part = fc.stringMatching(/^[a-c]{1,2}$/);
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const at = directory('/top');
        const key = `${prefixOf(at)}${parts.join('/')}`;
        const child = childOf(at, key);
        if (child.kind !== 'below') return parts.length === 1;
        return child.directory === `/top/${parts[0] ?? ''}` && key.startsWith(prefixOf(child.directory));
      }),
    );
  });
});
