/** Fields that stores on a network share: how to trust them, and who one is to them. */
import * as z from 'zod';
import { certificate, privateKey, secret, text, userName } from './scalars.ts';

export const tls = z
  .strictObject({
    ca: certificate.optional().describe('PEM of the authorities to trust; by default those of the platform'),
    cert: certificate.optional().describe("PEM of the client's certificate"),
    key: privateKey.optional().describe("PEM of the client's private key"),
    serverName: text.optional().describe('name in the server certificate, when it is not the host of the endpoint'),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'cert and key go together');

export const auth = z.strictObject({
  user: userName.describe('the user: a name, or a reference to it'),
  password: secret.describe('a reference to the password'),
});
