/**
 * An nginx and a HAProxy before one registry, as an operator would have set them up, and how keyferry's configuration names them:
 * what end-to-end tests and benchmarks lead from one registry to another.
 */
import { join } from 'node:path';
import { startHaproxy, startNginx, type LoadBalancer, type LoadBalancerPlace } from './start-load-balancer.ts';

export interface RegistryBalancers {
  readonly nginx: LoadBalancer;
  readonly haproxy: LoadBalancer;
}

/** @param endpoint of the registry, `http://127.0.0.1:port` */
export async function startRegistryBalancers(endpoint: string): Promise<RegistryBalancers> {
  const { host } = new URL(endpoint);
  const nginx = await startNginx({ files: (place) => ({ [site]: nginxSite(place, host) }) });
  const haproxy = await startHaproxy({ files: (place) => ({ 'haproxy.cfg': haproxyConfig(place, host) }) });
  return { nginx, haproxy };
}

/** The fields of each under `balancers:` of keyferry.yaml. @param fresh endpoint of the registry that they are to lead to */
export function balancerFields({ nginx, haproxy }: RegistryBalancers, fresh: string) {
  const common = ({ endpoints, command, configFile, configDirectory, pidFile }: LoadBalancer) => ({
    url: endpoints[0],
    program: command,
    configFile,
    directory: join(configDirectory, 'keyferry'),
    pidFile,
    v2: upstream,
    v3: { servers: [new URL(fresh).host] },
  });
  return {
    nginx: {
      kind: 'nginx',
      ...common(nginx),
      reload: `${nginx.command} -s reload`,
      files: [join(nginx.configDirectory, site)],
      accessLogs: [join(nginx.directory, 'access.log')],
    },
    haproxy: {
      kind: 'haproxy',
      ...common(haproxy),
      reload: `kill -USR2 ${haproxy.pid}`,
      socket: join(haproxy.configDirectory, adminSocket),
    },
  };
}

const upstream = 'apicurio';
const site = 'conf.d/registry.conf';
const adminSocket = 'admin.sock';

function nginxSite({ ports }: LoadBalancerPlace, host: string): string {
  return `upstream ${upstream} {
    server ${host} max_fails=0;
    keepalive 8;
}
server {
    listen 127.0.0.1:${ports[0]};
    location / {
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_pass http://${upstream};
    }
}
`;
}

function haproxyConfig({ ports, configDirectory }: LoadBalancerPlace, host: string): string {
  return `global
    stats socket ${join(configDirectory, adminSocket)} mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 60s
frontend web
    bind 127.0.0.1:${ports[0]}
    default_backend ${upstream}
backend ${upstream}
    server a ${host} maxconn 200
`;
}
