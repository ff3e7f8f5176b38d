// Generated from schemas/status.schema.json by schemas/generate.ts. Do not edit.

/**
 * status.json: the last word of whoever works for a seed, in each of its destinations. Free of secrets.
 */
export interface Status {
  /**
   * Version of this format. A reader refuses a higher one than it knows.
   */
  formatVersion: 1;
  /**
   * Whose it is.
   */
  seed: string;
  /**
   * RFC 3339 in UTC.
   */
  writtenAt: string;
  /**
   * Of the Granary that wrote it.
   */
  agentVersion: string;
  /**
   * What the last probe of each destination of the seed found, by name.
   */
  destinations: {
    [k: string]: DestinationReadiness;
  };
}
export interface DestinationReadiness {
  /**
   * RFC 3339 in UTC.
   */
  probedAt: string;
  /**
   * Of the destination as Git has it and of its credential's encrypted file: what was probed. SHA-256, hex.
   */
  fingerprint: string;
  /**
   * Everything that was tried works.
   */
  ready: boolean;
  /**
   * It can be written, read and listed, so backups go there.
   */
  usable: boolean;
  /**
   * False: it keeps no conditions of writes, so each attempt has a manifest of its own.
   */
  conditionalWrites: boolean;
  /**
   * The credential that is in Git does not work, and the one before it is used still.
   */
  former: boolean;
  /**
   * What did not work first; null: nothing.
   */
  problem: {
    /**
     * Of the probe, or `sign in`.
     */
    step: string;
    message: string;
    hint: string | null;
  } | null;
}
