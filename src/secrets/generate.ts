/** New age keys. */
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { Secret } from './secret.ts';

/** A fresh private key and its public half (`age1…`). */
export async function newIdentity(): Promise<{ secret: Secret; recipient: string }> {
  const identity = await generateX25519Identity();
  return { secret: new Secret(identity), recipient: await identityToRecipient(identity) };
}

/** The content of a key file, in the form that age-keygen writes. Secret. */
export function keyFile(identity: { secret: Secret; recipient: string }, created: Date): Secret {
  return new Secret(
    [
      `# created: ${created.toISOString()}`,
      `# public key: ${identity.recipient}`,
      identity.secret.reveal(),
      '',
    ].join('\n'),
  );
}
