/**
 * One signed call of an AWS service that speaks JSON over POST, the operation in a header. The clients of these services
 * would bring a quarter of a megabyte into every bundle for it; signing and credentials are the SDK's own.
 *
 * Those are loaded with the first call: every command knows this file, and few call anything.
 *
 * Region and endpoint come from the environment, by the names that the SDK knows: AWS_REGION, AWS_ENDPOINT_URL_SSM and so on.
 */

export interface AwsJsonService {
  /** As it is signed and as its hosts are named. */
  readonly name: string;
  /** Of AWS JSON. */
  readonly version: '1.0' | '1.1';
  readonly endpointVariable: string;
}

export type AwsEnv = Readonly<Record<string, string | undefined>>;

/** What a service refused, by its own name for it; nothing of the answer else. */
export class AwsRefusal extends TypeError {
  override readonly name: string;
  readonly $metadata: { readonly httpStatusCode: number };

  constructor(target: string, status: number, type: string) {
    super(`${target} answered ${status} ${type}`.trim());
    this.name = type === '' ? 'AwsRefusal' : type;
    this.$metadata = { httpStatusCode: status };
  }
}

const timeoutMs = 10_000;

async function signing() {
  const [{ defaultProvider }, { Sha256 }, { SignatureV4 }] = await Promise.all([
    import('@aws-sdk/credential-provider-node'),
    import('@smithy/core/checksum'),
    import('@smithy/signature-v4'),
  ]);
  return { defaultProvider, Sha256, SignatureV4 };
}

/**
 * @param target the operation, as the header names it
 * @param endpoint where to, unless the environment says otherwise; by default the service's own of the region
 * @throws {AwsRefusal} when the service answers with a failure; {TypeError} without a region; what fetch throws
 */
export async function callAws<Answer>(
  service: AwsJsonService,
  target: string,
  request: object,
  { env, endpoint }: { readonly env: AwsEnv; readonly endpoint?: string },
): Promise<Answer> {
  const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
  if (region === undefined) throw new TypeError('the environment names no region: set AWS_REGION');
  const configured = env[service.endpointVariable] ?? endpoint ?? env['AWS_ENDPOINT_URL'];
  const url = new URL(configured ?? `https://${service.name}.${region}.${domainOf(region)}`);
  const body = JSON.stringify(request);
  const { defaultProvider, Sha256, SignatureV4 } = await signing();
  const signer = new SignatureV4({ service: service.name, region, credentials: defaultProvider(), sha256: Sha256 });
  const { hostname, port, protocol } = url;
  const signed = await signer.sign({
    method: 'POST',
    protocol,
    hostname,
    ...(port === '' ? {} : { port: Number(port) }),
    path: '/',
    query: {},
    headers: {
      host: url.host,
      'content-type': `application/x-amz-json-${service.version}`,
      'x-amz-target': target,
    },
    body,
  });
  const answer = await fetch(new URL('/', url), {
    method: 'POST',
    headers: signed.headers,
    body,
    signal: AbortSignal.timeout(timeoutMs),
  });
  const document = (await answer.json().catch(() => ({}))) as Answer & { readonly __type?: unknown };
  if (answer.ok) return document;
  // `com.amazonaws.sqs#QueueDoesNotExist` of AWS JSON 1.0
  const { __type: name } = document;
  const [, type = ''] = /([^#]*)$/.exec(typeof name === 'string' ? name : '') ?? [];
  throw new AwsRefusal(target, answer.status, type);
}

/** The partition of a region: China has a domain of its own. */
const domainOf = (region: string): string => (region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com');
