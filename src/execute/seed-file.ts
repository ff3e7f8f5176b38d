/** The text of a Seed for an etcd that was asked what it is. */
import { parseEndpoint } from '../etcd/target.ts';
import type { Discovered } from './discover.ts';

/** Where the password of the user stands. */
export const loginCredential = 'etcd-login';

/** @param names of the seed and of its one cluster */
export function seedFile(
  names: { readonly seed: string; readonly cluster: string },
  found: Discovered,
): string {
  const { caFile, certFile, keyFile, serverName } = found.tls;
  const files = { caFile, certFile, keyFile, serverName };
  const tls = Object.entries(files).flatMap(([name, value]) =>
    value === null ? [] : [`        ${name}: ${JSON.stringify(value)}`],
  );
  const secure = found.members.some(({ endpoint }) => parseEndpoint(endpoint).secure);
  return [
    '# A Seed is one place with etcd clusters, served by one agent.',
    '# All fields: granary explain seed',
    'apiVersion: granary.dev/v1',
    'kind: Seed',
    'metadata:',
    `  name: ${names.seed}`,
    'spec:',
    '  clusters:',
    `    - name: ${names.cluster}`,
    '      # As the members named themselves. A member that comes or goes is changed here: nothing is looked up later.',
    '      endpoints:',
    ...found.members.map(
      ({ name, endpoint, version }) =>
        `        - ${JSON.stringify(endpoint)} # ${commented(name)}${version === null ? '' : `, etcd ${commented(version)}`}`,
    ),
    ...(secure && tls.length > 0
      ? ['      # Paths on the machine where Granary runs.', '      tls:', ...tls]
      : []),
    ...(found.auth === null ? [] : ['      auth:', `        credential: ${loginCredential}`]),
    '',
  ].join('\n');
}

/** What etcd answers is text from outside: it must not leave its comment. */
function commented(text: string): string {
  return text.replace(/[^\w.:+ -]/g, '?');
}
