/** Goal: every kind of store is described, and as what it is: what adapter-kinds.ts says and what the facts say agree. */
import { describe, expect, it } from 'vitest';
import { adapterFacts } from './adapter-facts.ts';
import { adapterKinds } from './config/adapter-kinds.ts';

describe('adapter facts', () => {
  it.each(Object.entries(adapterKinds))('%s has them, for the sides that it can be on', (kind, { source, target }) => {
    const facts = (adapterFacts as Readonly<Record<string, (typeof adapterFacts)['file']>>)[kind];
    expect(facts, `describe ${kind} in adapter-facts.ts, then: npm run gen`).toBeDefined();
    expect([facts?.source.length !== 0, facts?.target.length !== 0]).toEqual([source, target]);
  });
});
