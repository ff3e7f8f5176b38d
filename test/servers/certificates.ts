/** Certificates for test servers, made with the openssl command line. Valid for a day, for 127.0.0.1 and localhost. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireTool } from './tools.ts';

export interface KeyPair {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificates {
  readonly caFile: string;
  /** PEM text of the authority. */
  readonly caCertificate: string;
  readonly server: KeyPair;
  /** Its common name is `root`, which etcd takes for the user where authentication is on. */
  readonly client: KeyPair;
  /** Another certificate of the same authority. `name` is its common name and names its files. */
  issue(name: string): KeyPair;
}

const days = '1';

/** A certificate authority, a server certificate and a client certificate in `folder`. */
export function makeCertificates(folder: string): Certificates {
  const caFile = join(folder, 'ca.crt');
  const caKey = join(folder, 'ca.key');
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    days,
    '-subj',
    '/CN=granary test authority',
    '-keyout',
    caKey,
    '-out',
    caFile,
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  );
  const issue = (name: string, commonName = name): KeyPair => {
    const keyFile = join(folder, `${name}.key`);
    const certFile = join(folder, `${name}.crt`);
    const request = join(folder, `${name}.csr`);
    const extensions = join(folder, `${name}.ext`);
    // Both usages: etcd's own gateway signs in at the server with the server's certificate.
    writeFileSync(
      extensions,
      'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\n',
    );
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      `/CN=${commonName}`,
      '-keyout',
      keyFile,
      '-out',
      request,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      caFile,
      '-CAkey',
      caKey,
      '-CAcreateserial',
      '-days',
      days,
      '-extfile',
      extensions,
      '-out',
      certFile,
    );
    return { certFile, keyFile };
  };
  const server = issue('server', 'granary test server');
  const client = issue('client', 'root');
  return {
    caFile,
    caCertificate: readFileSync(caFile, 'utf8'),
    server,
    client,
    issue: (name) => issue(name),
  };
}

function openssl(...args: string[]): void {
  execFileSync(requireTool('openssl'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
