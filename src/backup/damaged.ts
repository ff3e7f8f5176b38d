import { GranaryError } from '../model/errors.ts';

/** What to do about one bad copy of a backup. */
export const otherCopyHint =
  'another copy may be sound: `granary restore` uses it by itself, `granary verify --repair` copies it back';

/**
 * Stored bytes that cannot be opened. Whoever knows which copy of which backup they belong to says so as
 * `backup-damaged`; the message completes "… is not what was written: ".
 */
export function artifactDamaged(why: string): GranaryError {
  return new GranaryError('artifact-damaged', why, {
    hint: 'another copy may be sound: `granary verify` tells which',
  });
}
