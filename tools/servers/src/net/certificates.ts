/**
 * Makes the certificates of one test server: a CA, a server and a client certificate, and a second CA that the server
 * does not trust, with a client certificate of its own, for the tests that must be refused.
 *
 * They are made at run time because checked-in ones expire, and because a private key in a repository sets off every
 * scanner there is. Keys come from node:crypto, which makes them natively; node-forge only writes the certificates.
 */
import { generateKeyPair, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import forge from 'node-forge';

export interface CertificateFiles {
  readonly caFile: string;
  readonly serverCertFile: string;
  readonly serverKeyFile: string;
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  /** Well-formed, but signed by a CA the server was never told of. */
  readonly untrusted: { readonly caFile: string; readonly clientCertFile: string; readonly clientKeyFile: string };
}

export interface CertificateOptions {
  /** Subject of the client certificate. etcd v3 takes it for the user's name once authentication is on. */
  readonly clientCommonName?: string;
}

/** Valid from an hour ago for a week, for 127.0.0.1 and localhost. Takes a few tenths of a second. */
export async function writeCertificates(
  directory: string,
  options: CertificateOptions = {},
): Promise<CertificateFiles> {
  const clientName = options.clientCommonName ?? 'keyferry-test-client';
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const [ca, server, client, otherCa, otherClient] = await Promise.all([
    newKey(),
    newKey(),
    newKey(),
    newKey(),
    newKey(),
  ]);
  const issuer = { name: 'keyferry test CA', key: ca };
  const otherIssuer = { name: 'keyferry untrusted test CA', key: otherCa };

  const write = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  return {
    caFile: await write('ca.pem', certificate(issuer.name, ca, issuer, 'authority')),
    serverCertFile: await write('server.pem', certificate('localhost', server, issuer, 'server')),
    serverKeyFile: await write('server.key', server.privatePem),
    clientCertFile: await write('client.pem', certificate(clientName, client, issuer, 'client')),
    clientKeyFile: await write('client.key', client.privatePem),
    untrusted: {
      caFile: await write('untrusted-ca.pem', certificate(otherIssuer.name, otherCa, otherIssuer, 'authority')),
      clientCertFile: await write('untrusted-client.pem', certificate(clientName, otherClient, otherIssuer, 'client')),
      clientKeyFile: await write('untrusted-client.key', otherClient.privatePem),
    },
  };
}

interface Key {
  readonly publicPem: string;
  readonly privatePem: string;
}
interface Issuer {
  readonly name: string;
  readonly key: Key;
}

/** RSA, because node-forge signs nothing else; 2048 bits, because Go's TLS refuses less than 1024 and warns of little. */
async function newKey(): Promise<Key> {
  const pair = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    // PKCS#1: the form every etcd and every client library of the adapters reads.
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return { publicPem: pair.publicKey, privatePem: pair.privateKey };
}

function certificate(commonName: string, key: Key, issuer: Issuer, role: 'authority' | 'server' | 'client'): string {
  const made = forge.pki.createCertificate();
  made.publicKey = forge.pki.publicKeyFromPem(key.publicPem);
  made.serialNumber = `01${randomBytes(15).toString('hex')}`; // the leading byte keeps it positive
  made.validity.notBefore = new Date(Date.now() - 3_600_000);
  made.validity.notAfter = new Date(Date.now() + 7 * 86_400_000);
  made.setSubject([{ name: 'commonName', value: commonName }]);
  made.setIssuer([{ name: 'commonName', value: issuer.name }]);
  made.setExtensions(extensionsFor(role));
  made.sign(forge.pki.privateKeyFromPem(issuer.key.privatePem), forge.md.sha256.create());
  return forge.pki.certificateToPem(made);
}

function extensionsFor(role: 'authority' | 'server' | 'client'): object[] {
  if (role === 'authority') {
    return [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      { name: 'subjectKeyIdentifier' },
    ];
  }
  return [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    // etcd's JSON gateway dials its own server with the server's certificate, so with client certificates required that
    // certificate must be good for both uses (etcd-io/etcd#9785 describes the failure).
    { name: 'extKeyUsage', serverAuth: role === 'server', clientAuth: true },
    ...(role === 'server' ? [subjectAltName()] : []),
  ];
}

function subjectAltName(): object {
  const DNS = 2;
  const IP = 7;
  return {
    name: 'subjectAltName',
    altNames: [
      { type: DNS, value: 'localhost' },
      { type: IP, ip: '127.0.0.1' },
    ],
  };
}
