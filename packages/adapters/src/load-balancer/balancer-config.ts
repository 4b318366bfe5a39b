/** What a load balancer's adapter is told: the meaning of the configuration's section, units in the names, null for not set. */
export interface LoadBalancerConfig {
  readonly kind: 'nginx' | 'haproxy';
  /** As clients reach the registry through it; no path. */
  readonly url: string;
  /** Further URLs through the same process (another port, another host name): the leak test asks each. */
  readonly listeners: readonly string[];
  /** Where 2.x answers beside the balancer; the leak test says which of them are open to writes. */
  readonly direct: readonly string[];
  /** PEM file of the CA of `url` and `listeners`; null: the system's. */
  readonly caFile: string | null;
  /**
   * Words of a command that runs one shell script on the balancer's machine, which is added as its last word:
   * `[ssh, lb1]`, `[docker, exec, -i, lb, sh, -c]`. null: this machine.
   */
  readonly access: readonly string[] | null;
  /** Of the shell here, for relative paths in `reload`. Absent: that of this process; of no meaning with `access`. */
  readonly workingDirectory?: string;
  /** Program that checks (`-t`, `-c`); `nginx` or `haproxy` by default. */
  readonly program: string;
  /** Shell command that reloads gracefully. */
  readonly reload: string;
  /** Main configuration file. */
  readonly configFile: string;
  /** nginx: the files with the locations of the registry. HAProxy: `configFile` alone. */
  readonly files: readonly string[];
  /** For keyferry's own files; made when it is not there. */
  readonly directory: string;
  /** Of the master process. */
  readonly pidFile: string;
  /** HAProxy: its stats socket with level admin, a path or `host:port`. */
  readonly socket: string | null;
  /** As `proxy_pass` or `backend` names 2.x. */
  readonly v2: string;
  readonly v3: ThreeTarget;
  /** A file that is not there is generated so that it listens there; null: it must be there. */
  readonly generate: { readonly listen: string; readonly servers: readonly string[] } | null;
  /** In the order of age, the oldest first. Empty: none is kept. `.gz` is unpacked. */
  readonly accessLogs: readonly string[];
  /** For the answer of a check, a reload, a socket. */
  readonly timeoutMs: number;
}

export interface ThreeTarget {
  /** `host:port` */
  readonly servers: readonly string[];
  /** Behind each server's address, as the balancer spells it; null: what the first server of 2.x has. */
  readonly options: string | null;
}
