/**
 * A port as a simulated process holds it: each request goes through the kernel and its weather, and so does each page of
 * what comes in pages. What a port hands out that can be asked again (a view, a writer) is held the same way.
 */
import type { SimProcess, StoreName } from '@keyferry/engine/testing';

type Method = (...args: readonly unknown[]) => unknown;

/** Answer at once, from what the caller has. */
const local = new Set<PropertyKey>(['control', 'cameAfter', 'close']);
const paged = new Set<PropertyKey>(['list', 'scan', 'listCreated', 'listRegistrations']);

export function overNetwork<T extends object>(process: SimProcess, store: StoreName, port: T): T {
  // Ports are asked for the same few methods again and again.
  const known = new Map<PropertyKey, Method>();
  return new Proxy(port, {
    get(target, name) {
      const before = known.get(name);
      if (before !== undefined) return before;
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      const method = asked(process, store, name, member.bind(target) as Method);
      known.set(name, method);
      return method;
    },
  });
}

function asked(process: SimProcess, store: StoreName, name: PropertyKey, method: Method): Method {
  if (name === 'close') return () => Promise.resolve();
  if (local.has(name)) return (...args) => held(process, store, method(...args));
  if (store !== 'state' && paged.has(name)) return (...args) => pages(process, store, method, String(name), args);
  return async (...args) => {
    const answer = await process.call(store, String(name), async () => await method(...args));
    return held(process, store, answer);
  };
}

function pages(
  process: SimProcess,
  store: StoreName,
  method: Method,
  name: string,
  args: readonly unknown[],
): AsyncIterable<unknown> {
  const all = (method(...args) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  const next = (): Promise<IteratorResult<unknown>> => process.call(store, name, () => all.next());
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

/** Answers are data, but for those that hold something to ask. */
function held(process: SimProcess, store: StoreName, answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer) || ArrayBuffer.isView(answer))
    return answer;
  if ('writer' in answer && typeof answer.writer === 'object' && answer.writer !== null)
    return { ...answer, writer: overNetwork(process, store, answer.writer) };
  const asks = Object.values(answer).some((each) => typeof each === 'function') || !isPlain(answer);
  return asks ? overNetwork(process, store, answer) : answer;
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};
