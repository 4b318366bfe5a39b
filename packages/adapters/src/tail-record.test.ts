/** Goal: what is remembered of a tail is read as it was written, and nothing else is taken for it. */
import * as fc from 'fast-check';
import type { Position } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { tailFromText, tailToText } from './tail-record.ts';

const number = fc.nat();
const anyTail = fc.record({
  fence: fc.record({ attempt: number, token: number }),
  sequence: fc.nat(),
  position: fc.option(fc.string().map((text) => text as Position)),
});

describe('the record of a tail', () => {
  it('law: reads what it wrote', () =>
    fc.assert(
      fc.property(anyTail, (tail) => {
        expect(tailFromText(tailToText(tail))).toEqual(tail);
      }),
    ));

  it.each([
    '',
    '{}',
    'null',
    '{"format":2,"fence":"0000000001.0000000001","sequence":1,"position":null}',
    '{"format":1,"fence":"1.1","sequence":1,"position":null}',
    '{"format":1,"fence":"0000000001.0000000001","sequence":"1","position":null}',
    '{"format":1,"fence":"0000000001.0000000001","sequence":1,"position":7}',
  ])('takes %j for nothing', (text) => expect(tailFromText(text)).toBeNull());
});
