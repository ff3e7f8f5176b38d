/** age-encryption, given the keys that Granary knows: age's own, and SSH keys of type ed25519. */
import { Decrypter, Encrypter } from 'age-encryption';
import { GranaryError } from '../model/errors.ts';
import type { PrivateKey } from './identities.ts';
import { shownRecipient } from './recipients.ts';
import { SshIdentity, SshRecipient } from './ssh-stanza.ts';

/**
 * @param recipients `age1…` or `ssh-ed25519 AAAA…`
 * @throws GranaryError `recipient-invalid`
 */
export function encrypterFor(recipients: readonly string[]): Encrypter {
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient.startsWith('ssh-') ? new SshRecipient(recipient) : recipient);
    } catch (error) {
      throw new GranaryError(
        'recipient-invalid',
        `\`${shownRecipient(recipient)}\` is not an age recipient`,
        {
          hint: 'a recipient is the public key that `age-keygen` prints, age1…, or an SSH key of type ed25519, ssh-ed25519 …',
          cause: error,
        },
      );
    }
  }
  return encrypter;
}

/** What it throws may hold a private key: such an error is looked at, never passed on. */
export function decrypterFor(keys: readonly PrivateKey[]): Decrypter {
  const decrypter = new Decrypter();
  for (const { kind, secret } of keys) {
    decrypter.addIdentity(
      kind === 'x25519' ? secret.reveal() : new SshIdentity(Buffer.from(secret.reveal(), 'base64')),
    );
  }
  return decrypter;
}
