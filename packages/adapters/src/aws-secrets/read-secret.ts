/**
 * One secret of AWS, by one signed call.
 *
 *     { ssm: NAME }             Systems Manager, GetParameter; a SecureString is decrypted
 *     { secretsManager: ID }    Secrets Manager, GetSecretValue, of the current version
 */
import { callAws, type AwsEnv, type AwsJsonService } from '../aws/signed-call.ts';

interface SecretService extends AwsJsonService {
  readonly target: string;
  readonly request: (name: string) => object;
  readonly secretOf: (answer: Answer) => string | undefined;
}

interface Answer {
  readonly Parameter?: { readonly Value?: string };
  readonly SecretString?: string;
}

const services: Readonly<Record<'ssm' | 'secretsManager', SecretService>> = {
  ssm: {
    name: 'ssm',
    version: '1.1',
    endpointVariable: 'AWS_ENDPOINT_URL_SSM',
    target: 'AmazonSSM.GetParameter',
    request: (Name) => ({ Name, WithDecryption: true }),
    secretOf: ({ Parameter }) => Parameter?.Value,
  },
  secretsManager: {
    name: 'secretsmanager',
    version: '1.1',
    endpointVariable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
    target: 'secretsmanager.GetSecretValue',
    request: (SecretId) => ({ SecretId }),
    secretOf: ({ SecretString }) => SecretString,
  },
};

/** @throws {Error} that names the service's own error type, and nothing of an answer else; for `config.secret-missing` */
export async function readAwsSecret(kind: keyof typeof services, name: string, env: AwsEnv): Promise<string> {
  const service = services[kind];
  const secret = service.secretOf(await callAws<Answer>(service, service.target, service.request(name), { env }));
  if (secret === undefined) throw new TypeError(`${service.target} answered without a text`);
  return secret;
}
