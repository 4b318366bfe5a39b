/**
 * A TCP proxy that has weather: connections break before a request is through or before its answer is, and bytes wait for a
 * while. Drawn from a seed; when each draw happens is the machine's matter, so a run is not the same twice.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Prng } from '@keyferry/engine/testing';

export interface ProxyWeather {
  /** Probability, for each piece of bytes, that the connection breaks instead: what was asked may have been done. */
  readonly cut: number;
  /** That it waits, and for how long at the most. */
  readonly hold: number;
  readonly holdMaxMs: number;
}

export const fairWeather: ProxyWeather = { cut: 0, hold: 0, holdMaxMs: 0 };

export interface Proxy {
  readonly endpoint: string;
  readonly cuts: number;
  change(weather: ProxyWeather): void;
  close(): Promise<void>;
}

/** @param listenOn an address of this machine */
export async function startProxy(server: string, listenOn: string, prng: Prng): Promise<Proxy> {
  const { hostname, port } = new URL(server);
  const sockets = new Set<Socket>();
  let weather = fairWeather;
  let cuts = 0;
  const proxy = createServer((near) => {
    const far = connect(Number(port), hostname);
    const breakBoth = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('error', breakBoth);
      from.on('close', () => {
        sockets.delete(from);
        breakBoth();
      });
      from.on('data', (bytes) => {
        if (prng.chance(weather.cut)) {
          cuts += 1;
          breakBoth();
        } else if (prng.chance(weather.hold)) {
          from.pause();
          const pass = (): void => {
            if (!to.destroyed) to.write(bytes);
            from.resume();
          };
          setTimeout(pass, prng.below(weather.holdMaxMs));
        } else if (!to.write(bytes)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
    }
  });
  proxy.listen(0, listenOn);
  await once(proxy, 'listening');
  const address = proxy.address();
  return {
    endpoint: `http://${listenOn}:${typeof address === 'object' ? address?.port : ''}`,
    get cuts() {
      return cuts;
    },
    change: (next) => (weather = next),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
