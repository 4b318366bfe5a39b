/** The local cloud: built bundles run on this machine as Lambda runs them. */
export { Environment, type InvocationEnd } from './environment.ts';
export { LocalFunction, type LocalInvocation } from './local-function.ts';
export { LocalQueue } from './local-queue.ts';
export { LocalCloud, type LocalCloudOptions } from './local-cloud.ts';
