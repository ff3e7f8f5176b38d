/** Where GitHub and GitLab take the status of a commit, from the address of a repository as people know it. */
import { unusable } from './targets.ts';

export type Forge = 'github' | 'gitlab';

/**
 * The URL that takes the status of a commit.
 * GitHub: https://docs.github.com/rest/commits/statuses; a server of one's own has its API below `/api/v3`, and
 * `NAME.ghe.com` at `api.NAME.ghe.com`. GitLab: https://docs.gitlab.com/api/commits, below `/api/v4`, with the path of
 * the project as one encoded word.
 * @param url of the repository's page, or of the repository in the API
 * @throws GranaryError `notification-refused`
 */
export function statusUrl(forge: Forge, url: URL, commit: string): URL {
  const path = pathOf(url);
  if (forge === 'github') {
    const inApi = /^(?:\/api\/v3)?\/repos\/[^/]+\/[^/]+$/.test(path);
    if (!inApi && !/^\/[^/]+\/[^/]+$/.test(path)) throw noRepository(forge, 'https://github.com/OWNER/NAME');
    return new URL(
      inApi ? `${path}/statuses/${commit}` : `${apiOf(url)}/repos${path}/statuses/${commit}`,
      url,
    );
  }
  const inApi = /^(?:\/.+)?\/api\/v4\/projects\/[^/]+$/.test(path);
  if (!inApi && !/^(?:\/[^/]+){2,}$/.test(path)) throw noRepository(forge, 'https://gitlab.com/GROUP/NAME');
  const project = inApi ? path : `/api/v4/projects/${encodeURIComponent(decoded(path.slice(1)))}`;
  return new URL(`${project}/statuses/${commit}`, url);
}

/** The page of a commit; null where the URL is one of the API, which has no pages. */
export function commitPage(forge: Forge, url: URL, commit: string): string | null {
  const path = pathOf(url);
  if (/\/api\/v[34]\//.test(`${path}/`) || url.hostname.startsWith('api.')) return null;
  return new URL(`${path}${forge === 'gitlab' ? '/-' : ''}/commit/${commit}`, url).href;
}

function apiOf({ protocol, hostname, host }: URL): string {
  const isCloud = hostname === 'github.com' || hostname.endsWith('.ghe.com');
  return isCloud ? `${protocol}//api.${host}` : '/api/v3';
}

function pathOf({ pathname }: URL): string {
  return pathname.replace(/\/+$/, '').replace(/\.git$/, '');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function noRepository(forge: Forge, example: string) {
  return unusable(`the \`url\` of a ${forge} notification names no repository`, `write it as ${example}`);
}
