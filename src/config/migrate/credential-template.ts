/**
 * Templates of Credentials. Secret values are neither read nor written: the template says where each one comes from, and
 * what to type so that it never stands in the repository in plain text.
 */
import type { CredentialType } from '../../model/config.ts';
import { documentText, type Field } from './emit.ts';
import type { Migration } from './result.ts';

export interface NewCredential {
  readonly name: string;
  readonly type: CredentialType;
  /** Who may use it. */
  readonly destinations: readonly string[];
  readonly seeds: readonly string[];
  /** The Secret of Kubernetes that holds the values; a null namespace is not known. */
  readonly secret: { readonly name: string; readonly namespace: string | null };
  readonly data: readonly SecretValue[];
}

export interface SecretValue {
  /** In `data` of the Credential. */
  readonly key: string;
  /** Of the Secret. */
  readonly secretKey: string;
  /** Which part of that it is: `aws_access_key_id of the profile default`; null: all of it. */
  readonly part: string | null;
}

/** The template as a file that no command takes for configuration, and the steps that make a Credential of it. */
export function credentialTemplate(credential: NewCredential): Migration {
  const { name, type, destinations, seeds, secret, data } = credential;
  const file = `credentials/${name}.sops.yaml`;
  const template = `${file}.template`;
  const where = `the Secret ${secret.name}${secret.namespace === null ? '' : ` in the namespace ${secret.namespace}`}`;
  const fields: Field[] = [
    { key: 'type', value: type },
    { key: 'destinations', value: destinations },
    ...(seeds.length === 0 ? [] : [{ key: 'seeds', value: seeds }]),
  ];
  const text = documentText({
    kind: 'Credential',
    name,
    spec: fields,
    head: [`# The values come from ${where}.`],
    data: data.map(({ key, secretKey, part }) => ({
      key,
      value: `FILL IN: ${part === null ? '' : `${part}, in `}${secretKey} of ${where}`,
    })),
  });
  const secretKeys = [...new Set(data.map(({ secretKey }) => secretKey))];
  const commands = [
    `sops encrypt --filename-override ${file} --output ${file} ${template}`,
    ...secretKeys.map((key) => showCommand(secret, key)),
    `sops edit ${file}`,
    `granary secrets lint ${file}`,
    `rm ${template}`,
  ];
  const lines = commands.map((command) => `  ${command}`).join('\n');
  return {
    files: [{ path: template, before: null, after: text }],
    notes: [],
    steps: [
      `make the Credential ${name}: encrypt the template, look up its values (${data.map(({ key }) => key).join(', ')}), and fill them in\n${lines}`,
    ],
  };
}

function showCommand({ name, namespace }: NewCredential['secret'], key: string): string {
  const where = namespace === null ? '' : ` --namespace ${namespace}`;
  return `kubectl${where} get secret ${name} --output 'jsonpath={.data.${key.replaceAll('.', '\\.')}}' | base64 --decode`;
}
