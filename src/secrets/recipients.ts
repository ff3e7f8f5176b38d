/** age recipients (public halves) and how they come from identities (private keys). */
import { Encrypter, identityToRecipient } from 'age-encryption';
import { normalizeSshRecipient } from '../config/ssh-recipient.ts';
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

/** A recipient of a plugin: `age1` and the name of the plugin, then its own data. */
const pluginRecipient = /^age1[a-z0-9-]{1,40}1[02-9ac-hj-np-z]{6,600}$/;

/** A recipient of a credential file: who Granary itself can open it for, or who only the `sops` program can. */
export interface SopsRecipient {
  /** `x25519` and `ssh-ed25519` are Granary's; `age-plugin` is the program's. */
  readonly kind: 'x25519' | 'ssh-ed25519' | 'age-plugin';
  /** The one way to write it: an SSH key without its comment. */
  readonly recipient: string;
}

/** Reads a recipient of a credential file or of a rule, or says what is wrong with it as `recipientFault` does. */
export function readSopsRecipient(text: string): SopsRecipient | string {
  if (text.startsWith('ssh-ed25519 ')) {
    const recipient = normalizeSshRecipient(text);
    return recipient === null ? 'is a mistyped SSH key' : { kind: 'ssh-ed25519', recipient };
  }
  const fault = recipientFault(text);
  if (fault === null) return { kind: 'x25519', recipient: text };
  if (/^ssh-/.test(text)) return 'is an SSH key of another type than ed25519, which is not supported';
  if (pluginRecipient.test(text) && !/^age1(pq|tag)/.test(text)) {
    return { kind: 'age-plugin', recipient: text };
  }
  return fault;
}

/** How a recipient may be named in messages: as it is where it looks like one, else not at all. */
export function shownRecipient(text: string): string {
  if (/^ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*( |$)/.test(text))
    return text.split(' ', 2).join(' ').slice(0, 100);
  return /^age1[a-z0-9-]{1,80}$/.test(text) ? text : 'a recipient';
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
