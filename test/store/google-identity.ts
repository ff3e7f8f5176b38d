/**
 * Google's ways to sign in, on loopback: the token endpoint of service accounts, the metadata server of a machine, and
 * the exchange of workload identity. As strict as Google is where a program can get it wrong.
 */
import { generateKeyPairSync, type KeyObject, randomUUID, verify } from 'node:crypto';
import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '../../src/secrets/secret.ts';

const scope = 'https://www.googleapis.com/auth/devstorage.read_write';

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object | string;
}

export class GoogleIdentity implements AsyncDisposable {
  readonly email = 'granary@test.iam.gserviceaccount.com';
  /** Method and path of each request. */
  readonly seen: string[] = [];
  /** Answered instead, while it is set. */
  instead: Reply | 'hang' | null = null;
  /** How far this server's clock is ahead. */
  clockOffsetMs = 0;
  expiresInSeconds = 3_600;
  /** What the exchange takes for a proof of who asks. */
  readonly subjectToken = `subject-${randomUUID()}`;
  readonly #accepted = new Set<string>();
  readonly #server: http.Server;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  private constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    this.#privateKey = privateKey;
    this.#publicKey = publicKey;
    this.#server = http.createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<GoogleIdentity> {
    const identity = new GoogleIdentity();
    identity.#server.listen(0, '127.0.0.1');
    await once(identity.#server, 'listening');
    return identity;
  }

  get endpoint(): string {
    return `http://${this.host}`;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The JSON key of the one service account there is. */
  key(changes: Readonly<Record<string, unknown>> = {}): string {
    return JSON.stringify({
      type: 'service_account',
      project_id: 'test',
      private_key_id: 'a1b2c3',
      private_key: this.#privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: this.email,
      token_uri: `${this.endpoint}/token`,
      ...changes,
    });
  }

  credential(changes: Readonly<Record<string, unknown>> = {}): ReadonlyMap<string, Secret> {
    return new Map([['serviceAccountJson', new Secret(this.key(changes))]]);
  }

  /** The file of GOOGLE_APPLICATION_CREDENTIALS of workload identity. */
  externalAccount(subjectTokenFile: string): string {
    return JSON.stringify({
      type: 'external_account',
      audience:
        '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${this.endpoint}/sts`,
      credential_source: { file: subjectTokenFile },
    });
  }

  accepts(token: string | undefined): boolean {
    return token !== undefined && this.#accepted.has(token);
  }

  /** No token that was given is good any more. */
  revokeAll(): void {
    this.#accepted.clear();
  }

  count(path: string): number {
    return this.seen.filter((one) => one === path).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname } = new URL(request.url ?? '', this.endpoint);
    this.seen.push(`${request.method} ${pathname}`);
    if (this.instead === 'hang') return;
    const reply = this.instead ?? this.#reply(request, pathname, Buffer.concat(chunks).toString());
    const isText = typeof reply.body === 'string';
    response.writeHead(reply.status, {
      'content-type': isText ? 'text/html' : 'application/json',
      ...reply.headers,
    });
    response.end(isText ? reply.body : JSON.stringify(reply.body));
  }

  #reply(request: http.IncomingMessage, path: string, body: string): Reply {
    if (path === '/' || path.startsWith('/computeMetadata/v1/')) return this.#metadata(request, path);
    const form = new URLSearchParams(body);
    if (request.method === 'POST' && path === '/token') return this.#serviceAccount(form);
    if (request.method === 'POST' && path === '/sts') return this.#exchange(form);
    return { status: 404, body: { error: 'not_found' } };
  }

  #metadata({ headers }: http.IncomingMessage, path: string): Reply {
    const flavor = { 'metadata-flavor': 'Google' };
    if (headers['metadata-flavor'] !== 'Google') return { status: 403, headers: flavor, body: {} };
    if (path === '/') return { status: 200, headers: flavor, body: {} };
    if (path !== '/computeMetadata/v1/instance/service-accounts/default/token') {
      return { status: 404, headers: flavor, body: {} };
    }
    return { status: 200, headers: flavor, body: this.#issue() };
  }

  #serviceAccount(form: URLSearchParams): Reply {
    const refuse = (description: string): Reply => ({
      status: 400,
      body: { error: 'invalid_grant', error_description: description },
    });
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') {
      return { status: 400, body: { error: 'unsupported_grant_type' } };
    }
    const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const said = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
    if (said.iss !== this.email) return refuse('Invalid grant: account not found');
    const signed = Buffer.from(`${header}.${claims}`);
    if (!verify('RSA-SHA256', signed, this.#publicKey, Buffer.from(signature, 'base64url'))) {
      return refuse('Invalid JWT Signature.');
    }
    const now = (Date.now() + this.clockOffsetMs) / 1_000;
    const [issued, expires] = [Number(said.iat), Number(said.exp)];
    if (!(expires - issued <= 3_600 && expires > now && issued < now + 300)) {
      return refuse(
        'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
      );
    }
    if (said.aud !== `${this.endpoint}/token`) return refuse('Invalid JWT: Failed audience check.');
    if (said.scope !== scope) return { status: 400, body: { error: 'invalid_scope' } };
    return { status: 200, body: this.#issue() };
  }

  #exchange(form: URLSearchParams): Reply {
    const isExchange = form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:token-exchange';
    if (!isExchange || form.get('scope') !== scope)
      return { status: 400, body: { error: 'invalid_request' } };
    if (form.get('subject_token') !== this.subjectToken) {
      return {
        status: 400,
        body: { error: 'invalid_grant', error_description: 'The subject token is not valid.' },
      };
    }
    const issued_token_type = 'urn:ietf:params:oauth:token-type:access_token';
    return { status: 200, body: { ...this.#issue(), issued_token_type } };
  }

  #issue(): object {
    const token = `ya29.${randomUUID()}`;
    this.#accepted.add(token);
    return { access_token: token, expires_in: this.expiresInSeconds, token_type: 'Bearer' };
  }
}
