/** A full commit id (SHA-1 or SHA-256), such as may stand in a command line of git. What lies in a bucket may be anything. */
export function isCommitId(text: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
