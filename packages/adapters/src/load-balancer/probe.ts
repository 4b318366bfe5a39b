/**
 * Asks a balancer as a client would: which phase it serves, and whether a write gets through that must not.
 *
 * The write is a DELETE of an artifact that nobody has, by a name drawn for the probe: where it leaks, the answer is 404, or
 * 401 where writers must be known, and nothing is changed. A refusal counts only with the balancer's own mark, since a
 * registry answers 405 too where deletes are off.
 *
 * Fresh connections show what new workers do, kept ones what is done with those that were opened before.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type LeakReceipt, type TrafficPhase, trafficPhases } from '@keyferry/core';
import type { LoadBalancerConfig } from './balancer-config.ts';
import { phaseHeader, refusedHeader } from './refusal.ts';

export interface ProbeAnswer {
  readonly status: number;
  readonly phase: TrafficPhase | null;
  /** By the balancer itself. */
  readonly refused: boolean;
  readonly version: string | null;
}

/** Each listener is asked so often over fresh connections, and so often over one that is kept. */
const fresh = 4;
const kept = 4;

export class Prober {
  private readonly agents: { readonly http: HttpAgent; readonly https: HttpsAgent };

  private readonly name: string;
  private readonly config: LoadBalancerConfig;

  constructor(name: string, config: LoadBalancerConfig) {
    this.name = name;
    this.config = config;
    const ca = config.caFile === null ? {} : { ca: readFileSync(config.caFile) };
    const options = { keepAlive: true, maxSockets: 1 };
    this.agents = { http: new HttpAgent(options), https: new HttpsAgent({ ...options, ...ca }) };
  }

  /** What the running process does with a read. @throws an error of the network */
  async phase(url = this.config.url): Promise<ProbeAnswer> {
    return await this.ask(url, 'GET', '/apis/registry/v2/system/info', false);
  }

  async leakTest(phase: TrafficPhase): Promise<LeakReceipt> {
    let probes = 0;
    let leaks = 0;
    let detail: string | null = null;
    const refuses = phase.endsWith('-ro');
    for (const url of [this.config.url, ...this.config.listeners]) {
      for (let count = 0; count < fresh + kept; count += 1) {
        const how = count < fresh ? 'a fresh connection' : 'a kept connection';
        probes += 1;
        const found = await this.harmlessWrite(url, count >= fresh).then(
          (answer) => (isAsLed(answer, phase) ? null : said(answer)),
          (error: unknown) => (error instanceof Error ? error.message : String(error)),
        );
        if (found === null) continue;
        leaks += 1;
        detail ??= `${url} over ${how}: ${found}`;
      }
    }
    if (refuses && detail === null) detail = await this.besides();
    return { balancer: this.name, phase, probes, leaks, detail };
  }

  close(): void {
    this.agents.http.destroy();
    this.agents.https.destroy();
  }

  /** Ways around the balancer that take writes: no leak of this balancer, and still to be closed by somebody. */
  private async besides(): Promise<string | null> {
    const open: string[] = [];
    for (const url of this.config.direct) {
      const answer = await this.harmlessWrite(url, false).catch(() => null);
      if (answer !== null && !answer.refused) open.push(`${url} answers ${answer.status}`);
    }
    return open.length === 0 ? null : `beside the balancer a write reaches a server: ${open.join(', ')}`;
  }

  private async harmlessWrite(url: string, keep: boolean): Promise<ProbeAnswer> {
    return await this.ask(url, 'DELETE', `/apis/registry/v2/groups/keyferry-probe/artifacts/${randomUUID()}`, keep);
  }

  private async ask(base: string, method: string, path: string, keep: boolean): Promise<ProbeAnswer> {
    const url = new URL(path, base);
    const secure = url.protocol === 'https:';
    const ca = secure && this.config.caFile !== null ? { ca: readFileSync(this.config.caFile) } : {};
    const agent = keep ? (secure ? this.agents.https : this.agents.http) : false;
    const reply = await new Promise<IncomingMessage & { text: string }>((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(url, { method, agent, ...ca }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          if (text.length < 4096) text += chunk;
        });
        response.once('end', () => resolve(Object.assign(response, { text })));
        response.once('error', reject);
      });
      request.setTimeout(this.config.timeoutMs, () => request.destroy(new Error('no answer in time')));
      request.once('error', reject);
      request.end();
    });
    const phase = trafficPhases.find((each) => each === reply.headers[phaseHeader]) ?? null;
    const version = /"version"\s*:\s*"([^"]{1,64})"/.exec(reply.text)?.[1] ?? null;
    const status = reply.statusCode ?? 0;
    return { status, phase, refused: status === 405 && reply.headers[refusedHeader] === 'write', version };
  }
}

/** A write that is led to 3.x is answered by it: 502 to 504 of a balancer say that nobody is there. */
function isAsLed({ status, phase, refused }: ProbeAnswer, wanted: TrafficPhase): boolean {
  if (phase !== wanted || refused !== wanted.endsWith('-ro')) return false;
  return wanted !== 'v3-rw' || status < 500;
}

function said({ status, phase, refused }: ProbeAnswer): string {
  const mark = phase === null ? 'without a mark of keyferry' : `in phase ${phase}`;
  return `${status} ${mark}${refused ? ', refused by the balancer' : ''}`;
}
