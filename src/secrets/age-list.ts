/** The same credential file with other entries in `sops.age`. SOPS' authentication code does not cover that list. */
import { armor, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { Secret } from './secret.ts';
import type { SopsMetadata } from './sops-metadata.ts';

/** An entry: for whom, and the data key as an age file. */
export interface AgeEntry {
  readonly recipient: string;
  readonly file: Uint8Array;
}

/** @param metadata of the same text */
export function withAgeList(text: string, metadata: SopsMetadata, entries: readonly AgeEntry[]): string {
  if (metadata.ranges.age === null) return text;
  const [start, end] = metadata.ranges.age;
  // JSON is YAML too, and the end of a block may be the line end behind it.
  const list = JSON.stringify(entries.map(({ recipient, file }) => ({ recipient, enc: armor.encode(file) })));
  return `${text.slice(0, start)}${list}${text.slice(start, end).endsWith('\n') ? '\n' : ''}${text.slice(end)}`;
}

/**
 * The same file for a key that is made for this one call, for a reader that knows no SSH keys: what it then says of the
 * values is still its own.
 */
export async function forOneTimeKey(
  text: string,
  metadata: SopsMetadata,
  dataKey: Uint8Array,
): Promise<{ text: string; identity: Secret }> {
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const file = await encrypter.encrypt(dataKey);
  return { text: withAgeList(text, metadata, [{ recipient, file }]), identity: new Secret(identity) };
}
