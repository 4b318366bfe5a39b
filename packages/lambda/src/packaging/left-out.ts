/**
 * Parts of libraries that no function can need, left out of its bundle.
 *
 *     @aws-sdk/credential-provider-node    looks for credentials in files, SSO, other processes, the instance: a function has
 *                                          them in its environment, and nowhere else
 *     @grpc/proto-loader                   gRPC's own debugging service, which nobody starts here
 *     @grpc/grpc-js, its server            functions are clients
 */
import type { Plugin } from 'esbuild';

const replacements: Readonly<Record<string, string>> = {
  '@aws-sdk/credential-provider-node':
    "import { fromEnv } from '@aws-sdk/credential-provider-env'; export const defaultProvider = (init) => fromEnv(init);",
  '@grpc/proto-loader': '',
};

const grpcServer = /\/@grpc\/grpc-js\/build\/src\/server(?:-call|-credentials|-interceptors)?\.js$/;

const namespace = 'keyferry-replaced';

export function leftOut(): Plugin {
  const names = Object.keys(replacements).map((name) => name.replaceAll(/[/-]/g, '\\$&'));
  return {
    name: 'left-out',
    setup: (of) => {
      of.onResolve({ filter: new RegExp(`^(?:${names.join('|')})$`) }, ({ path, resolveDir }) => {
        return { path, namespace, pluginData: resolveDir };
      });
      of.onLoad({ filter: /.*/, namespace }, ({ path, pluginData: resolveDir }) => ({
        contents: replacements[path] ?? '',
        resolveDir: resolveDir as string,
        loader: 'js',
      }));
      of.onLoad({ filter: grpcServer }, () => ({ contents: '', loader: 'js' }));
    },
  };
}
