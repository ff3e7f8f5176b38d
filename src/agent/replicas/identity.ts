/** Who this replica is. */
import { hostname } from 'node:os';
import { ulid } from 'ulid';

/** `HOST-ULID`: for people, and for nobody to have had before. Safe as part of a key and as a label. */
export function newReplicaId(): string {
  const host = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .slice(0, 63);
  return `${host || 'agent'}-${ulid()}`;
}
