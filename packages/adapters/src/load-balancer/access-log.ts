/**
 * Reads access logs of nginx and HAProxy, line by line as they come: what clients call, and how it went.
 *
 *     nginx    combined, and whatever is appended to it; a last field with three decimals is `$request_time`, in seconds
 *     HAProxy  `option httplog`, with or without what syslog puts before it
 *
 * Lines of other kinds (errors, health checks of TCP, other formats) are counted and passed over: a log nobody could read
 * must not look like one without requests. Times without a zone (HAProxy's) are this machine's.
 */
export interface LoggedRequest {
  readonly client: string;
  readonly atMs: number;
  readonly method: string;
  /** As in the request line. */
  readonly target: string;
  readonly status: number;
  /** From the first byte of the request to the last of the answer; null: the log does not say. */
  readonly tookMs: number | null;
}

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const combined =
  /^(\S+) \S+ .*?\[(\d{2})\/(\w{3})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-]\d{4})\] "([A-Z]+) (\S+)[^"]*" (\d{3}) \S+(.*)$/;
const httplog =
  /(?:^|\s)(\S+?):\d+ \[(\d{2})\/(\w{3})\/(\d{4}):(\d{2}):(\d{2}):(\d{2})\.(\d{3})\] \S+ \S+ [-\d]+\/[-\d]+\/[-\d]+\/[-\d]+\/\+?(-?\d+) (-?\d{1,3}) .*"([A-Z]+) (\S+)[^"]*"\s*$/;

/** @returns null: not a line of a request in a format that is known */
export function parseLogLine(line: string): LoggedRequest | null {
  return parseCombined(line) ?? parseHttplog(line);
}

function parseCombined(line: string): LoggedRequest | null {
  const found = combined.exec(line);
  if (found === null) return null;
  const [, client = '', day, month = '', year, hour, minute, second, zone = '+0000', method = '', target = ''] = found;
  const [status, rest = ''] = found.slice(11);
  const local = Date.UTC(
    Number(year),
    months.indexOf(month),
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const sign = zone.startsWith('-') ? -1 : 1;
  const offsetMinutes = sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3)));
  const seconds = /(?:^|[\s"=])(\d+\.\d{3})"?\s*$/.exec(rest)?.[1];
  const tookMs = seconds === undefined ? null : Math.round(Number(seconds) * 1000);
  return { client, atMs: local - offsetMinutes * 60_000, method, target, status: Number(status), tookMs };
}

function parseHttplog(line: string): LoggedRequest | null {
  const found = httplog.exec(line);
  if (found === null) return null;
  const [, client = '', day, month = '', year, hour, minute, second, ms, took, status, method = '', target = ''] =
    found;
  const time = [hour, minute, second, ms].map(Number) as [number, number, number, number];
  const atMs = new Date(Number(year), months.indexOf(month), Number(day), ...time).getTime();
  const tookMs = Number(took);
  return { client, atMs, method, target, status: Number(status), tookMs: tookMs < 0 ? null : tookMs };
}

/** `/apis/NAME/VERSION` of a target. @returns null: no API of a registry */
export function apiPrefix(target: string): string | null {
  return /^(?:https?:\/\/[^/]+)?(\/apis\/[^/?]{1,32}\/[^/?]{1,16})(?=[/?]|$)/.exec(target)?.[1] ?? null;
}

/** Latencies in a bounded place: each bucket is about 4 % wide, from 1 ms to more than an hour. */
export class Latencies {
  private readonly counts = new Map<number, number>();
  private total = 0;

  add(ms: number): void {
    const bucket = Math.round(Math.log(Math.max(ms, 1)) * 25);
    this.counts.set(bucket, (this.counts.get(bucket) ?? 0) + 1);
    this.total += 1;
  }

  /** @param share 0 to 1 @returns null: nothing was added */
  quantile(share: number): number | null {
    let seen = 0;
    for (const [bucket, count] of [...this.counts].toSorted(([a], [b]) => a - b)) {
      seen += count;
      if (seen >= share * this.total) return Math.round(Math.exp(bucket / 25));
    }
    return null;
  }
}
