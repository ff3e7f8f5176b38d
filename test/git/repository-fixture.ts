/** Real Git repositories in temp folders, and an HTTP server that hands them out to whoever knows the password. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { vi } from 'vitest';
import type { KeyPair } from '../servers/certificates.ts';

const env = {
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Olga Ops',
  GIT_AUTHOR_EMAIL: 'ops@acme.example',
  GIT_AUTHOR_DATE: '2026-11-21T10:00:00+01:00',
  GIT_COMMITTER_NAME: 'Olga Ops',
  GIT_COMMITTER_EMAIL: 'ops@acme.example',
  GIT_COMMITTER_DATE: '2026-11-21T10:00:00+01:00',
};

/** Whatever the developer's own Git is set to do must not matter; `vi.unstubAllEnvs` ends it. */
export function withoutOwnSettings(home: string): void {
  vi.stubEnv('GIT_CONFIG_GLOBAL', '/dev/null');
  vi.stubEnv('GIT_CONFIG_NOSYSTEM', '1');
  vi.stubEnv('HOME', home);
  for (const name of ['GIT_ASKPASS', 'SSH_ASKPASS', 'SSH_AUTH_SOCK', 'GIT_SSL_CAINFO', 'SSL_CERT_FILE']) {
    vi.stubEnv(name, undefined);
  }
}

export class Repository {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.git('init', '--quiet', '--initial-branch=main');
  }

  git(...args: string[]): string {
    return execFileSync('git', args, { cwd: this.folder, env, encoding: 'utf8', stdio: 'pipe' }).trim();
  }

  /** Writes files, commits everything and gives the commit's id. */
  commit(subject: string, files: Record<string, string> = { 'seeds/eu.yaml': `# ${subject}\n` }): string {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true });
      writeFileSync(join(this.folder, name), content);
    }
    this.git('add', '--all');
    this.git('commit', '--quiet', '--allow-empty', '-m', subject);
    return this.git('rev-parse', 'HEAD');
  }
}

export interface HttpServer {
  readonly port: number;
  readonly requests: string[];
  close(): Promise<void>;
}

/** With a certificate it speaks HTTPS. */
export async function serve(listener: RequestListener, pair?: KeyPair): Promise<HttpServer> {
  const requests: string[] = [];
  const answer: RequestListener = (request, response) => {
    requests.push(request.url ?? '');
    listener(request, response);
  };
  const server =
    pair === undefined
      ? createServer(answer)
      : createSecureServer({ cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile) }, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Serves the repositories below `root` through Git's own CGI program, to `user:password` only. */
export function gitOverHttp(root: string, user: string, password: string): RequestListener {
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return (request, response) => {
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('sign in');
      return;
    }
    runCgi(root, request, response);
  };
}

function runCgi(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...env,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method ?? 'GET',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('close', () => {
    const output = Buffer.concat(chunks);
    const end = output.indexOf('\r\n\r\n');
    for (const line of output.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(/: (.*)/);
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.end(output.subarray(end + 4));
  });
}
