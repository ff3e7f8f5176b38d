/** age recipients (public halves) and how they come from identities (private keys). X25519 only. */
import { Encrypter, identityToRecipient } from 'age-encryption';
import { GranaryError } from '../model/errors.ts';
import type { Secret } from './secret.ts';

/** The only form of a private key that any library gets to see: age-encryption puts what it refuses into its error. */
export const identityPattern = /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/;

const x25519Recipient = /^age1[02-9ac-hj-np-z]{58}$/;

/**
 * What is wrong with an age recipient, in words that follow its name ("is …"), or null where it is a sound X25519
 * recipient, checksum included. Never repeats the text: somebody may have put a private key in its place.
 */
export function recipientFault(text: string): string | null {
  if (x25519Recipient.test(text)) {
    try {
      new Encrypter().addRecipient(text);
      return null;
    } catch {
      return 'is mistyped: its checksum does not fit';
    }
  }
  if (/AGE-SECRET-KEY-/i.test(text)) return 'is a private key: only its public half (age1…) belongs here';
  if (/^ssh-/.test(text)) return 'is an SSH key: only age keys (age1…) are supported';
  if (/^age1(pq|tag)/.test(text))
    return 'is a post-quantum or hardware key: only X25519 keys (age1…) are supported';
  if (/^age1[a-z0-9-]+1/.test(text) && text.length > 62)
    return 'belongs to a plugin: only age’s own keys are supported';
  if (/^age1/i.test(text)) return 'is mistyped: 62 characters in lower case are expected';
  return 'is no age recipient: those begin with age1';
}

/** How a recipient may be named in messages: as it is where it looks like one, else not at all. */
export function shownRecipient(text: string): string {
  return /^age1[a-z0-9-]{1,80}$/.test(text) ? text : 'a recipient';
}

/**
 * Passes for a sound age recipient (`age1…`, X25519, checksum included); otherwise `recipient-invalid`, which never
 * holds a private key that was put there by mistake.
 */
export function checkRecipient(text: string): void {
  const fault = recipientFault(text);
  if (fault === null) return;
  throw new GranaryError('recipient-invalid', `${shownRecipient(text)} ${fault}`, {
    hint: '`age-keygen -y KEYFILE` prints the recipient of a private key',
  });
}

/**
 * The recipient (`age1…`) of a private key. `age-key-invalid` where it is none, also where only its checksum is
 * wrong. The key itself is in no error, and no library's error is attached, for those do hold it.
 */
export async function publicKeyOf(identity: Secret): Promise<string> {
  const text = identity.reveal();
  try {
    if (identityPattern.test(text)) return await identityToRecipient(text);
  } catch {
    // Only the checksum can be wrong now. Said below, without the library's message.
  }
  throw new GranaryError(
    'age-key-invalid',
    'a private key is mistyped: it is no AGE-SECRET-KEY-1… of 74 characters',
    {
      hint: 'copy the whole line again from where the key is kept',
    },
  );
}
