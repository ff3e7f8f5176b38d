/** The real `sops` and `age-keygen`, shut off from the keys and settings of whoever runs the tests. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { type Identities, loadIdentities } from '../../src/secrets/identities.ts';
import type { TempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';

export interface KeyPair {
  readonly identity: string;
  readonly recipient: string;
}

export async function keyPair(): Promise<KeyPair> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

export function identitiesOf(...keys: KeyPair[]): Promise<Identities> {
  return loadIdentities({ files: [], env: { SOPS_AGE_KEY: keys.map((key) => key.identity).join('\n') } });
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs sops in a folder, with `keys` as the only private keys it can find. */
export function sops(folder: TempFolder, keys: readonly KeyPair[], ...args: string[]): Promise<Outcome> {
  const env = {
    HOME: folder.path,
    PATH: '/nowhere',
    SOPS_DISABLE_VERSION_CHECK: '1',
    SOPS_AGE_KEY: keys.map((key) => key.identity).join('\n'),
  };
  return new Promise((resolve) => {
    execFile(requireTool('sops'), args, { cwd: folder.path, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });
}

export const plainCredential = `apiVersion: granary.dev/v1
kind: Credential
metadata:
  name: eu-minio-key
  labels:
    tier: gold
    path: "17"
spec:
  type: s3
  displayName: EU MinIO – klíč
  locked: false
  default: true
  destinations: [eu-minio, eu-s3]
# who made it
data:
  accessKeyId: AKIAEXAMPLE # the public half
  # the secret half
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+b=: # x"
  caCertificate: |
    -----BEGIN CERTIFICATE-----
    MIIB
    -----END CERTIFICATE-----
`;

export const plainValues = new Map([
  ['accessKeyId', 'AKIAEXAMPLE'],
  ['secretAccessKey', 'wJalrXUtnFEMI/K7MDENG+b=: # x'],
  ['caCertificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'],
]);

/** Encrypts with sops itself; gives the text of the file. */
export async function encrypt(
  folder: TempFolder,
  keys: readonly KeyPair[],
  plain = plainCredential,
  ...more: string[]
): Promise<string> {
  const path = folder.join('encrypt.yaml');
  writeFileSync(path, plain);
  const recipients = keys.map((key) => key.recipient).join(',');
  const regex = more.some((arg) => arg.includes('regex')) ? [] : ['--encrypted-regex', '^data$'];
  const { code, stderr } = await sops(
    folder,
    keys,
    'encrypt',
    '--age',
    recipients,
    ...regex,
    ...more,
    '-i',
    path,
  );
  if (code !== 0) throw new Error(`sops did not encrypt: ${stderr}`);
  return readFileSync(path, 'utf8');
}

/** What `sops decrypt` says about a text. */
export async function sopsOpens(
  folder: TempFolder,
  keys: readonly KeyPair[],
  text: string,
): Promise<Outcome> {
  const path = folder.join('decrypt.yaml');
  writeFileSync(path, text);
  return sops(folder, keys, 'decrypt', '--output-type', 'json', path);
}
