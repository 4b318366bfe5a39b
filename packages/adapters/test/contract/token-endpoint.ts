/** An OpenID provider for tests: registries take it for a Keycloak, and keyferry gets its tokens there. */
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Of the client `keyferry`. */
export const secret = 'very-secret-secret';

/** A small OpenID provider: what Keycloak answers for client credentials, and the documents by which a registry trusts it. */
export class TokenEndpoint {
  /** Tokens granted so far. */
  granted = 0;
  lifeSeconds = 300;
  private readonly keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  private readonly server: Server = createServer((request, response) => void this.answer(request, response));

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/realms/registry`;
  }

  get tokenUrl(): string {
    return `${this.issuer}/protocol/openid-connect/token`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const json = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const path = request.url ?? '';
    if (path.endsWith('/.well-known/openid-configuration')) {
      return json(200, {
        issuer: this.issuer,
        jwks_uri: `${this.issuer}/certs`,
        token_endpoint: this.tokenUrl,
        authorization_endpoint: `${this.issuer}/auth`,
        id_token_signing_alg_values_supported: ['RS256'],
      });
    }
    if (path.endsWith('/certs')) {
      const jwk = this.keys.publicKey.export({ format: 'jwk' });
      return json(200, { keys: [{ ...jwk, kid: 'k1', alg: 'RS256', use: 'sig' }] });
    }
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const form = new URLSearchParams(Buffer.concat(parts).toString());
    const basic = `Basic ${Buffer.from(`keyferry:${encodeURIComponent(secret)}`).toString('base64')}`;
    // The registry itself, which is given a user and a password, sends them in the form (RFC 6749, 2.3.1).
    const inForm = form.get('client_id') === 'keyferry' && form.get('client_secret') === secret;
    if ((request.headers.authorization !== basic && !inForm) || form.get('grant_type') !== 'client_credentials') {
      return json(401, { error: 'invalid_client', error_description: `not ${request.headers.authorization ?? ''}` });
    }
    this.granted += 1;
    return json(200, { access_token: this.token(), expires_in: this.lifeSeconds, token_type: 'Bearer' });
  }

  private token(): string {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      iss: this.issuer,
      sub: 'service-account-keyferry',
      preferred_username: 'service-account-keyferry',
      aud: 'registry-api',
      azp: 'keyferry',
      iat: nowSeconds,
      exp: nowSeconds + this.lifeSeconds,
      realm_access: { roles: ['sr-admin'] },
    };
    const signed = `${part({ alg: 'RS256', typ: 'JWT', kid: 'k1' })}.${part(claims)}`;
    return `${signed}.${signature(this.keys.privateKey, signed)}`;
  }
}

function signature(key: KeyObject, text: string): string {
  return createSign('RSA-SHA256').update(text).sign(key).toString('base64url');
}
