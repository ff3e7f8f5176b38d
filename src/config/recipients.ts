/** Recipients of backups: whether a text can be one. age's own X25519 keys, and SSH keys of type ed25519. */
import { normalizeSshRecipient, x25519OfSshRecipient } from './ssh-recipient.ts';

const wayToRecipient = '`age-keygen -y KEYFILE` prints the recipient of a private key';
const bech32Digits = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** What is wrong with a recipient, in words; null where it can be one. Nothing of a private key is ever shown. */
export function recipientProblem(text: string): { message: string; hint: string } | null {
  if (/^AGE-SECRET-KEY-/i.test(text.trim())) {
    return {
      message: 'this is a private key: it is known to everybody who can read this file',
      hint: 'make a new key with `age-keygen`, and write its public key (age1…) here',
    };
  }
  if (text.startsWith('ssh-')) return sshProblem(text);
  if (/^age1[02-9ac-hj-np-z]{58}$/.test(text)) {
    if (hasBech32Checksum(text)) return null;
    return {
      message: 'the checksum of this recipient is wrong: it was not copied as it is',
      hint: wayToRecipient,
    };
  }
  return {
    message: 'this is no age recipient: those begin with `age1` and have 62 characters',
    hint: wayToRecipient,
  };
}

function sshProblem(text: string): { message: string; hint: string } | null {
  if (!text.startsWith('ssh-ed25519 ')) {
    return {
      message: 'this is an SSH key of another type than ed25519, which cannot be a recipient',
      hint: `take an SSH key of type ed25519 (\`ssh-keygen -t ed25519\`), or an age key: ${wayToRecipient}`,
    };
  }
  const recipient = normalizeSshRecipient(text);
  if (recipient !== null && x25519OfSshRecipient(recipient) !== null) return null;
  return {
    message: 'this is no SSH key of type ed25519: it was not copied as it is',
    hint: 'copy the line of the file that ends in `.pub`; `ssh-keygen -y -f KEYFILE` prints it',
  };
}

/** BIP 173: the checksum over the human-readable part and the digits is 1. */
function hasBech32Checksum(text: string): boolean {
  const split = text.lastIndexOf('1');
  const human = [...text.slice(0, split)].map((character) => character.charCodeAt(0));
  const digits = [...text.slice(split + 1)].map((character) => bech32Digits.indexOf(character));
  const values = [...human.map((code) => code >> 5), 0, ...human.map((code) => code & 31), ...digits];
  const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
  let checksum = 1;
  for (const value of values) {
    const top = checksum >> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    generators.forEach((generator, bit) => {
      if ((top >> bit) & 1) checksum ^= generator;
    });
  }
  return checksum === 1;
}
