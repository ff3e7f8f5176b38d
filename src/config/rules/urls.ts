/** URLs of stores and etcd members. */

/**
 * What is wrong with an endpoint, in words; null where it is `http://` or `https://`, a host, and at most a port.
 * The text itself is never repeated: it may hold a password.
 */
export function endpointProblem(text: string): string | null {
  // `URL` takes blanks, tabs and backslashes and changes them silently; other readers of the same text would not.
  if (/[\s\\]/.test(text)) return 'has a blank or a backslash in it';
  if (!/^https?:\/\//.test(text)) return 'must begin with `https://` or `http://`';
  const url = URL.parse(text);
  // `URL` also skips slashes in front of a host that is not there: `https:///x` would be the host `x`.
  if (url === null || !/^https?:\/\/[^/]/.test(text)) return 'is no URL with a host';
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/]*@/.test(text)) {
    return 'has a user or a password in it; those belong into a Credential';
  }
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text)) return 'has more than host and port';
  if (url.pathname !== '/') return 'has a path; it is host and port only';
  if (url.port === '0') return 'has port 0';
  return null;
}
