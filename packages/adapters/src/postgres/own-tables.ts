/** keyferry's own tables of one target: made with the first write, and as good as empty before. */
import { ensureControlTables, hasControlTables } from './control-tables.ts';
import type { Session } from './session.ts';
import type { PostgresTarget } from './target-context.ts';

type Home = Pick<PostgresTarget, 'store' | 'schema' | 'sessions' | 'load'>;

export class OwnTables {
  private readonly target: Home;
  private ensured = false;

  constructor(target: Home) {
    this.target = target;
  }

  /** Runs `body` on the tables; `absent` is the answer while there are none. */
  async read<T>(doing: string, absent: T, body: (session: Session) => Promise<T>): Promise<T> {
    const { sessions, store, schema } = this.target;
    await this.target.load();
    return await sessions.run(doing, async (session) => {
      this.ensured ||= await hasControlTables(session, store, schema);
      return this.ensured ? await body(session) : absent;
    });
  }

  /** All of `body` in one transaction, or nothing of it. @param begin what begins it */
  async write<T>(doing: string, body: (session: Session) => Promise<T>, begin?: string): Promise<T> {
    const { sessions, store, schema } = this.target;
    await this.target.load();
    if (!this.ensured) {
      await sessions.run(`making keyferry's own tables in schema ${schema}`, (session) =>
        ensureControlTables(session, store, schema),
      );
    }
    this.ensured = true;
    return await sessions.transaction(doing, body, begin);
  }
}
