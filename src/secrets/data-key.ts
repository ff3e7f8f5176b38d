/** The data key of a SOPS file, from the private keys at hand. */
import { timingSafeEqual } from 'node:crypto';
import { Decrypter } from 'age-encryption';
import { GranaryError } from '../model/errors.ts';
import { type Identities, type Identity, requireIdentities } from './identities.ts';
import type { CredentialFile } from './sops-file.ts';

export interface OpenedKey {
  /** 32 bytes. */
  readonly dataKey: Uint8Array;
  /** The first of the private keys that opens it. */
  readonly identity: Identity;
}

/**
 * Every stanza that names one of our recipients must open with that recipient's key and give the same 32 bytes:
 * sops itself would let entries be relabelled.
 * Errors: `age-key-missing` (none given), `age-key-wrong` (none fits; names both sides), `sops-tampered`.
 */
export async function openDataKey(
  path: string,
  file: CredentialFile,
  identities: Identities,
): Promise<OpenedKey> {
  const keys = requireIdentities(identities, path);
  let opened: OpenedKey | null = null;
  for (const stanza of file.metadata.stanzas) {
    const identity = keys.find((key) => key.recipient === stanza.recipient);
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
  if (opened !== null) return opened;
  const recipients = file.metadata.stanzas.map((stanza) => stanza.recipient);
  throw new GranaryError(
    'age-key-wrong',
    `${path} is encrypted for ${recipients.join(', ')}; the private ${keys.length === 1 ? 'key' : 'keys'} at hand ${
      keys.length === 1 ? 'is' : 'are'
    } for ${keys.map((key) => key.recipient).join(', ')}`,
    {
      hint: 'give the key of one of its recipients, or let somebody who has one add yours: .sops.yaml, then `sops updatekeys FILE`',
      context: { file: path },
    },
  );
}

/** The library's errors are dropped: they may hold the private key. */
async function decryptStanza(file: Uint8Array, identity: Identity): Promise<Uint8Array | null> {
  try {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity.secret.reveal());
    return await decrypter.decrypt(file);
  } catch {
    return null;
  }
}
