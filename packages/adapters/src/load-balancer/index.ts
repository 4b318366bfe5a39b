/** nginx and HAProxy in front of a registry: where traffic goes, and whether it may write; see README.md. */
export { openLoadBalancer } from './open-load-balancer.ts';
export type { LoadBalancerConfig } from './balancer-config.ts';
export { generatedConfig } from './haproxy/adopt.ts';
export { generatedSite } from './nginx/snippets.ts';
