/** A new credential file, encrypted as SOPS does it (reference "SOPS files"). No value is written anywhere before. */
import { randomBytes } from 'node:crypto';
import { armor, Encrypter } from 'age-encryption';
import { GranaryError } from '../model/errors.ts';
import type { Secret } from './secret.ts';
import { encryptText } from './sops-cipher.ts';
import { readCredentialFile } from './sops-file.ts';
import { macOf } from './sops-mac.ts';

export interface NewCredential {
  readonly name: string;
  /** As in `spec.type`. */
  readonly type: string;
  readonly values: ReadonlyMap<string, Secret>;
  /** age public keys, each of which opens it alone. */
  readonly recipients: readonly string[];
}

/** The program whose format it is: SOPS refuses files of a later version than its own. */
const sopsVersion = '3.9.0';

/** The text of the file. */
export async function newCredentialFile(credential: NewCredential, now: Date): Promise<string> {
  const { name, type, values, recipients } = credential;
  const dataKey = randomBytes(32);
  try {
    const lastModified = now.toISOString().replace(/\.\d{3}Z$/, 'Z');
    const stanzas = await Promise.all(
      recipients.map(async (recipient) => ({ recipient, enc: await sealed(dataKey, recipient) })),
    );
    const text = (mac: string) =>
      [
        'apiVersion: granary.dev/v1',
        'kind: Credential',
        'metadata:',
        `    name: ${name}`,
        'spec:',
        `    type: ${type}`,
        'data:',
        ...[...values].map(
          ([key, value]) => `    ${key}: ${encryptText(value.reveal(), dataKey, `data:${key}:`)}`,
        ),
        'sops:',
        '    age:',
        ...stanzas.flatMap(({ recipient, enc }) => [
          `        - recipient: ${recipient}`,
          '          enc: |',
          ...enc
            .trimEnd()
            .split('\n')
            .map((line) => `            ${line}`),
        ]),
        `    lastmodified: "${lastModified}"`,
        `    mac: ${mac}`,
        '    encrypted_regex: ^data$',
        `    version: ${sopsVersion}`,
        '',
      ].join('\n');
    // What the code covers is read from the file itself, by the reader that will judge it.
    const draft = text(encryptText('0', dataKey, lastModified));
    const { file, faults } = readCredentialFile(`${name}.sops.yaml`, draft);
    if (file === null)
      throw new GranaryError('internal', `a credential file was not made well: ${faults[0]?.message ?? ''}`);
    const plain = new Map([...values].map(([key, value]) => [key, value.reveal()]));
    return draft.replace(/^ {4}mac: .*$/m, () => {
      return `    mac: ${encryptText(macOf(file.macParts, plain), dataKey, lastModified)}`;
    });
  } finally {
    dataKey.fill(0);
  }
}

async function sealed(dataKey: Uint8Array, recipient: string): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(dataKey));
}
