/** The data key of a SOPS file, from the private keys at hand. */
import { timingSafeEqual } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { GranaryError } from '../model/errors.ts';
import { decrypterFor } from './age-keys.ts';
import { giveKeyHint, type Identities, type Identity } from './identities.ts';
import type { CredentialFile } from './sops-file.ts';

export interface OpenedKey {
  /** 32 bytes. */
  readonly dataKey: Uint8Array;
  /** The first of the private keys that opens it. */
  readonly identity: Identity;
}

/**
 * The data key; null where none of the private keys is one of the file's recipients. Every stanza that names one of our
 * recipients must open with that recipient's key and give the same 32 bytes: sops itself would let entries be relabelled.
 * @throws GranaryError `sops-tampered`
 */
export async function openDataKey(
  path: string,
  file: CredentialFile,
  identities: Identities,
): Promise<OpenedKey | null> {
  let opened: OpenedKey | null = null;
  for (const stanza of file.metadata.stanzas) {
    const identity = identities.keys.find((key) => key.recipient === stanza.recipient);
    if (identity === undefined) continue;
    const dataKey = await decryptStanza(stanza.file, identity);
    const sound = dataKey?.length === 32 && (opened === null || timingSafeEqual(opened.dataKey, dataKey));
    if (dataKey === null || !sound) {
      throw new GranaryError(
        'sops-tampered',
        `${path}: the data key that sops.age lists for ${stanza.recipient} is not one for that recipient`,
        {
          hint: 'take the file from a commit you trust, then `sops updatekeys FILE`',
          context: { file: path, recipient: stanza.recipient },
        },
      );
    }
    opened ??= { dataKey, identity };
  }
  return opened;
}

/** Everybody who can read a file, in its order: age recipients, then keys of other kinds. Public. */
export function recipientsOf({ metadata }: CredentialFile): string[] {
  return [...metadata.stanzas, ...metadata.foreign].map(({ recipient }) => recipient);
}

/** `age-key-missing` where no private key was given, else `age-key-wrong`: who could open the file, and what was tried. */
export function noKeyFits(path: string, file: CredentialFile, identities: Identities): GranaryError {
  const context = { file: path };
  const recipients = recipientsOf(file).join(', ');
  const tried = keysInWords(identities);
  if (tried === null) {
    return new GranaryError(
      'age-key-missing',
      `no private key was given, and ${path} is encrypted for ${recipients}`,
      {
        hint: giveKeyHint,
        context,
      },
    );
  }
  return new GranaryError('age-key-wrong', `${path} is encrypted for ${recipients}; ${tried}`, {
    hint: 'give the key of one of its recipients, or let somebody who has one add yours: .sops.yaml, then `sops updatekeys FILE`',
    context,
  });
}

/** Whose private keys there are, by their public halves; null where there is none. */
export function keysInWords({ keys, plugins }: Identities): string | null {
  const all = keys.map(({ recipient }) => recipient);
  if (plugins.length > 0) all.push(plugins.length === 1 ? 'an age plugin' : 'age plugins');
  if (all.length === 0) return null;
  return `the private ${all.length === 1 ? 'key' : 'keys'} at hand ${all.length === 1 ? 'is' : 'are'} for ${all.join(', ')}`;
}

/**
 * The library's errors are dropped: they may hold the private key. It is given a stream, for with bytes it makes a
 * `Response`, for which Node loads an HTTP client of 800 kB.
 */
async function decryptStanza(file: Uint8Array, identity: Identity): Promise<Uint8Array | null> {
  try {
    const opened = await decrypterFor([identity]).decrypt(streamOf(file));
    return await buffer(opened);
  } catch {
    return null;
  }
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}
