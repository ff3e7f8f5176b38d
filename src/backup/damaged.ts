import { GranaryError } from '../model/errors.ts';

/**
 * Stored bytes that cannot be opened. Whoever knows which copy of which backup they belong to says so as
 * `backup-damaged`; the message completes "… is not what was written: ".
 */
export function artifactDamaged(why: string): GranaryError {
  return new GranaryError('artifact-damaged', why, {
    hint: 'another copy may be sound: `granary verify` tells which',
  });
}
