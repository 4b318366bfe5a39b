/**
 * One environment of a function: a process of its own, fed through the Runtime API, as Lambda would.
 *
 *     starting ──next──► idle ⇄ frozen ──event──► busy ──response, error──► idle
 *         └──────────────── init error, exit, deadline (SIGKILL) ───────────► gone
 *
 * Between two events it is frozen (SIGSTOP), so that whatever rests on a timer is found out.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** None outlives this process: one that is frozen would wait for ever. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

export interface EnvironmentOptions {
  /** As its log lines and locks name it. */
  readonly name: string;
  /** Of its bundle. */
  readonly folder: string;
  /** Over those of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Takes each line that it writes. */
  readonly onLine: (line: string, environment: Environment) => void;
}

export type InvocationEnd =
  | { readonly kind: 'returned'; readonly result: unknown }
  /** The handler threw. */
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'timed-out' }
  /** Its process ended in the middle of it, or never came up. */
  | { readonly kind: 'died'; readonly why: string };

interface Current {
  readonly requestId: string;
  readonly end: (end: InvocationEnd) => void;
}

export class Environment {
  readonly options: EnvironmentOptions;
  /** Events that it was given. */
  invocations = 0;
  private readonly server: Server;
  private readonly process: ChildProcess;
  /** The request for the next event, waiting for one. */
  private waiting: ServerResponse | null = null;
  private current: Current | null = null;
  private whenIdle: () => void = () => undefined;
  private goneWhy: string | null = null;

  private constructor(options: EnvironmentOptions, server: Server, child: ChildProcess) {
    this.options = options;
    this.server = server;
    this.process = child;
    children.add(child);
    server.on('request', (request, response) => void this.answer(request, response));
    child.on('exit', (code, signal) => {
      children.delete(child);
      this.ended(`its process ended with ${signal ?? `code ${code}`}`);
    });
    child.on('error', (error) => this.ended(error.message));
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => options.onLine(line, this));
    }
  }

  static async start(options: EnvironmentOptions): Promise<Environment> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const here = fileURLToPath(import.meta.url);
    const bootstrap = join(here, `../bootstrap.${here.endsWith('.ts') ? 'ts' : 'js'}`);
    const child = spawn(process.execPath, [bootstrap], {
      cwd: options.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        AWS_REGION: process.env['AWS_REGION'] ?? 'eu-west-1',
        ...options.env,
        AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
        AWS_LAMBDA_FUNCTION_NAME: options.name,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024',
        LAMBDA_TASK_ROOT: options.folder,
        _HANDLER: 'index.handler',
      },
    });
    return new Environment(options, server, child);
  }

  get isGone(): boolean {
    return this.goneWhy !== null;
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Gives it one event. Never two at once. */
  async invoke(event: unknown, timeoutMs: number): Promise<InvocationEnd> {
    this.invocations += 1;
    this.thaw();
    const requestId = randomUUID();
    const ended = new Promise<InvocationEnd>((resolve) => {
      this.current = { requestId, end: resolve };
    });
    if (this.goneWhy !== null) return { kind: 'died', why: this.goneWhy };
    if (this.waiting === null) await Promise.race([new Promise<void>((resolve) => (this.whenIdle = resolve)), ended]);
    const deadline = setTimeout(() => this.timeOut(), timeoutMs);
    try {
      this.hand(event, requestId, Date.now() + timeoutMs);
      return await ended;
    } finally {
      clearTimeout(deadline);
      this.current = null;
      if (!this.isGone && this.waiting !== null) this.freeze();
    }
  }

  /** As a crash of its machine; a frozen one too. */
  kill(): void {
    this.process.kill('SIGKILL');
  }

  freeze(): void {
    this.process.kill('SIGSTOP');
  }

  thaw(): void {
    this.process.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    this.kill();
    this.waiting?.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private hand(event: unknown, requestId: string, deadlineMs: number): void {
    const { waiting } = this;
    if (waiting === null) return; // it has ended meanwhile
    this.waiting = null;
    waiting.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': requestId,
      'lambda-runtime-deadline-ms': String(deadlineMs),
      'lambda-runtime-invoked-function-arn': `arn:aws:lambda:local:000000000000:function:${this.options.name}`,
      'lambda-runtime-trace-id': `Root=1-${requestId}`,
    });
    waiting.end(JSON.stringify(event));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, path = ''] = request.url?.split('/2018-06-01/runtime/') ?? [];
    if (path === 'invocation/next') {
      this.waiting = response;
      this.whenIdle();
      return;
    }
    const body: unknown = JSON.parse((await text(request)) || 'null');
    response.writeHead(202).end('{}');
    if (path === 'init/error') {
      this.ended(`it could not be loaded: ${JSON.stringify((body as { errorMessage?: unknown }).errorMessage)}`);
      return;
    }
    const [, requestId, what] = path.split('/');
    if (this.current?.requestId !== requestId) return; // of an event that was given up
    // Frozen once it asks for the next event: until then its answer is on the way.
    this.whenIdle = () => this.current === null && this.freeze();
    this.current?.end(what === 'response' ? { kind: 'returned', result: body } : { kind: 'failed', error: body });
  }

  private timeOut(): void {
    this.current?.end({ kind: 'timed-out' });
    this.ended('it was killed at its deadline');
    this.kill();
  }

  private ended(why: string): void {
    this.goneWhy ??= why;
    this.waiting = null;
    this.current?.end({ kind: 'died', why: this.goneWhy });
    this.server.close();
  }
}
