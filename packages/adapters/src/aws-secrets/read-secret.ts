/**
 * One secret of AWS, by one signed call. The clients of these services would bring a quarter of a megabyte into every
 * bundle for it; signing and credentials are the SDK's own.
 *
 *     { ssm: NAME }             Systems Manager, GetParameter; a SecureString is decrypted
 *     { secretsManager: ID }    Secrets Manager, GetSecretValue, of the current version
 *
 * Both speak JSON over POST, the operation in a header (AWS JSON 1.1). Region and endpoint come from the environment, by the
 * names that the SDK knows: AWS_REGION, AWS_ENDPOINT_URL_SSM and so on.
 */
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';

interface Service {
  /** As it is signed and as its hosts are named. */
  readonly name: string;
  readonly target: string;
  readonly endpointVariable: string;
  readonly request: (name: string) => object;
  readonly secretOf: (answer: Answer) => string | undefined;
}

interface Answer {
  readonly Parameter?: { readonly Value?: string };
  readonly SecretString?: string;
}

const services: Readonly<Record<'ssm' | 'secretsManager', Service>> = {
  ssm: {
    name: 'ssm',
    target: 'AmazonSSM.GetParameter',
    endpointVariable: 'AWS_ENDPOINT_URL_SSM',
    request: (Name) => ({ Name, WithDecryption: true }),
    secretOf: ({ Parameter }) => Parameter?.Value,
  },
  secretsManager: {
    name: 'secretsmanager',
    target: 'secretsmanager.GetSecretValue',
    endpointVariable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
    request: (SecretId) => ({ SecretId }),
    secretOf: ({ SecretString }) => SecretString,
  },
};

const timeoutMs = 10_000;

/** @throws {Error} that names the service's own error type, and nothing of an answer else; for `config.secret-missing` */
export async function readAwsSecret(
  kind: keyof typeof services,
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const service = services[kind];
  const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
  if (region === undefined) throw new TypeError('the environment names no region: set AWS_REGION');
  const configured = env[service.endpointVariable] ?? env['AWS_ENDPOINT_URL'];
  const url = new URL(configured ?? `https://${service.name}.${region}.${domainOf(region)}`);
  const body = JSON.stringify(service.request(name));
  const signer = new SignatureV4({ service: service.name, region, credentials: defaultProvider(), sha256: Sha256 });
  const headers = {
    host: url.host,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': service.target,
  };
  const { hostname, port, protocol } = url;
  const signed = await signer.sign({
    method: 'POST',
    protocol,
    hostname,
    ...(port === '' ? {} : { port: Number(port) }),
    path: '/',
    query: {},
    headers,
    body,
  });
  const answer = await fetch(url, {
    method: 'POST',
    headers: signed.headers,
    body,
    signal: AbortSignal.timeout(timeoutMs),
  });
  const document = (await answer.json().catch(() => ({}))) as Answer & Readonly<Record<string, unknown>>;
  if (!answer.ok) {
    const { __type: type = '' } = document;
    throw new TypeError(`${service.target} answered ${answer.status} ${String(type)}`.trim());
  }
  const secret = service.secretOf(document);
  if (secret === undefined) throw new TypeError(`${service.target} answered without a text`);
  return secret;
}

/** The partition of a region: China has a domain of its own. */
const domainOf = (region: string): string => (region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com');
