/**
 * Warnings of Node that tell a user of keyferry nothing. One only: DEP0123, an IP address as the name of a TLS server.
 * gRPC sets it for an endpoint such as https://10.0.0.1:2379, which is a right way to name a member of etcd, and Node
 * then checks the certificate against the address as it should. All other warnings come through.
 */
type EmitWarning = typeof process.emitWarning;

const silenced: readonly unknown[] = ['DEP0123'];

/** @returns a function to be put in the place of `process.emitWarning` */
export function withoutSilenced(emit: EmitWarning): EmitWarning {
  return (warning: string | Error, ...rest: unknown[]): void => {
    // emitWarning(text, type, code) and emitWarning(text, { type, code }) are both in use.
    const [options, code] = rest;
    const ofOptions = typeof options === 'object' && options !== null && 'code' in options ? options.code : code;
    if (!silenced.includes(ofOptions)) Reflect.apply(emit, undefined, [warning, ...rest]);
  };
}
