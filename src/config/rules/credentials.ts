/** A credential's file and what is in it. Values are never shown. */
import type { CredentialType } from '../../model/config.ts';
import { childPointer } from '../pointer.ts';
import { nearest, quoted } from '../words.ts';
import type { Rule } from './context.ts';

interface DataShape {
  /** Keys that may be there. */
  readonly keys: readonly string[];
  /** Keys of which one is worth nothing without the other. */
  readonly pairs: readonly (readonly [string, string])[];
  /** Keys that must be there. */
  readonly required: readonly string[];
  /** Keys of which exactly one must be there. */
  readonly oneOf?: readonly string[];
}

const shapes: Readonly<Record<CredentialType, DataShape>> = {
  s3: {
    keys: ['accessKeyId', 'secretAccessKey', 'sessionToken'],
    pairs: [['accessKeyId', 'secretAccessKey']],
    required: ['accessKeyId', 'secretAccessKey'],
  },
  gcs: { keys: ['serviceAccountJson'], pairs: [], required: ['serviceAccountJson'] },
  azure: {
    keys: ['clientSecret', 'accountKey', 'sasToken'],
    pairs: [],
    required: [],
    oneOf: ['clientSecret', 'accountKey', 'sasToken'],
  },
  etcd: {
    keys: ['username', 'password', 'caCertificate', 'certificate', 'key'],
    pairs: [
      ['username', 'password'],
      ['certificate', 'key'],
    ],
    required: [],
  },
  token: { keys: ['token'], pairs: [], required: ['token'] },
};

/** sops encrypts by file name, and its MAC covers a whole file. */
export const credentialsHaveTheirFile: Rule = ({ sources, report }) => {
  for (const source of sources) {
    if (source.kind !== 'Credential') continue;
    if (!source.file.endsWith('.sops.yaml')) {
      report(source, '/kind', {
        code: 'credential-file-name',
        message: 'a Credential belongs into a file named `*.sops.yaml`',
        hint: `rename it to ${source.file.replace(/\.ya?ml$/, '')}.sops.yaml, and see that the rule in .sops.yaml matches`,
      });
    }
    if (source.siblings > 1) {
      report(source, '/kind', {
        code: 'credential-not-alone',
        message: `a Credential has a file of its own, and this file has ${source.siblings} documents`,
        hint: 'move it to a file of its own, then encrypt it with `sops encrypt -i FILE`',
      });
    }
  }
};

export const dataIsEncrypted: Rule = ({ credentials, report }) => {
  for (const { written, source } of credentials) {
    for (const [key, value] of Object.entries(written.data)) {
      if (value.startsWith('ENC[')) continue;
      report(source, childPointer('/data', key), {
        code: 'plain-secret',
        message: `\`data.${key}\` is in plain text`,
        hint: '`sops encrypt -i FILE`; once committed it is known to others, so replace it where it was made',
      });
    }
  }
};

export const dataFitsItsType: Rule = ({ credentials, report }) => {
  for (const { object, source } of credentials) {
    const { keys, pairs, required, oneOf = [] } = shapes[object.type];
    const has = (key: string): boolean => object.dataKeys.includes(key);
    for (const key of object.dataKeys.filter((one) => !keys.includes(one))) {
      const meant = nearest(key, keys);
      report(source, childPointer('/data', key), {
        code: 'unknown-data',
        place: 'key',
        message: `a Credential of type ${object.type} has no ${quoted(key)} in its data`,
        hint: meant === undefined ? `known are ${keys.join(', ')}` : `did you mean ${quoted(meant)}?`,
      });
    }
    const halves = pairs.filter(([first, second]) => has(first) !== has(second));
    for (const [first, second] of halves) {
      const [there, gone] = has(first) ? [first, second] : [second, first];
      report(source, childPointer('/data', there), {
        code: 'half-a-pair',
        place: 'key',
        message: `\`data.${there}\` is there without \`data.${gone}\``,
        hint: 'add it with `sops edit FILE`',
      });
    }
    const chosen = oneOf.filter(has);
    if (oneOf.length > 0 && chosen.length !== 1) {
      report(source, '/data', {
        code: chosen.length === 0 ? 'missing-data' : 'too-much-data',
        place: 'key',
        message: `a Credential of type ${object.type} has ${chosen.length === 0 ? 'one' : 'only one'} of ${oneOf.map((key) => `\`data.${key}\``).join(', ')}`,
        hint: chosen.length === 0 ? 'add it with `sops edit FILE`' : 'keep the one that is to be used',
      });
    }
    const missing = required.filter((key) => !has(key));
    const isHalf = halves.some((pair) => pair.some((key) => missing.includes(key)));
    if (missing.length > 0 && !isHalf) {
      report(source, '/data', {
        code: 'missing-data',
        place: 'key',
        message: `a Credential of type ${object.type} needs ${missing.map((key) => `\`data.${key}\``).join(' and ')}`,
        hint: 'add it with `sops edit FILE`',
      });
    }
  }
};

/** `destinations` says which destinations may use a key of a store; no other credential is used by one. */
export const audienceFitsTheType: Rule = ({ credentials, report }) => {
  for (const { object, source } of credentials) {
    if (object.destinations === null || (object.type !== 'etcd' && object.type !== 'token')) continue;
    report(source, '/spec/destinations', {
      code: 'audience',
      place: 'key',
      message: `no destination uses a Credential of type ${object.type}`,
      hint: 'remove `destinations`; `seeds` says which seeds may use it',
    });
  }
};
