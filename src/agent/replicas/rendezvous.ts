/** Who of several works for what: every replica reckons the same from the same names, and no one has to be asked. Pure. */
import { createHash } from 'node:crypto';

/**
 * The one of the members with the highest weight for a subject (rendezvous hashing): where a member goes, only what it
 * had moves, and where one comes it takes its share from all others alike.
 * @param members in any order; null where there is none
 */
export function ownerOf(subject: string, members: Iterable<string>): string | null {
  let owner: string | null = null;
  let heaviest = '';
  for (const member of members) {
    const weight = createHash('sha256').update(`${member}\0${subject}`).digest('hex');
    // Two equal weights are as good as impossible; the name settles even these.
    if (owner === null || weight > heaviest || (weight === heaviest && member > owner)) {
      owner = member;
      heaviest = weight;
    }
  }
  return owner;
}
