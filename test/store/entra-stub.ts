/** Stands in for Microsoft Entra ID and for the services that give a machine's identity its tokens. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Certificates, makeCertificates } from '../servers/certificates.ts';
import { tempFolder } from '../servers/temp.ts';

export const tenantId = 'ab1f708d-50f6-404c-a006-d71b2ac7a606';
export const clientId = 'f997392c-e15a-4ad8-af9e-cd6966caba7f';
export const clientSecret = 'a-client-secret-that-is-hidden';

export interface StubRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What a stub answers; `reset`: it breaks the connection. */
export type StubAnswer =
  | { readonly status: number; readonly json?: unknown; readonly html?: string }
  | 'reset'
  | 'hang';

export class TokenStub implements AsyncDisposable {
  readonly seen: StubRequest[] = [];
  /** Asked first; null: it answers as the real one does. */
  decide: (request: StubRequest) => StubAnswer | null = () => null;
  readonly #server: ReturnType<typeof createServer>;
  readonly #secure: boolean;

  private constructor(
    server: (listener: RequestListener) => ReturnType<typeof createServer>,
    secure: boolean,
  ) {
    this.#secure = secure;
    this.#server = server((request, response) => void this.#handle(request, response));
  }

  /** An authority by HTTPS, for client secrets. */
  static async authority(): Promise<{ stub: TokenStub; certificates: Certificates }> {
    using folder = tempFolder('authority');
    const certificates = makeCertificates(folder.path);
    const { certFile, keyFile } = certificates.server;
    const files = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    const stub = new TokenStub((listener) => createSecureServer(files, listener), true);
    await stub.#listen();
    return { stub, certificates };
  }

  /** The metadata service of a virtual machine, or that of App Service. */
  static async machine(): Promise<TokenStub> {
    const stub = new TokenStub((listener) => createServer(listener), false);
    await stub.#listen();
    return stub;
  }

  get origin(): string {
    return `${this.#secure ? 'https' : 'http'}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '/', this.origin);
    const body = await new Response(request as unknown as ReadableStream).text();
    const seen = { method, url, headers, body };
    this.seen.push(seen);
    const answer = this.decide(seen) ?? this.#answer(seen);
    if (answer === 'reset') request.socket.destroy();
    else if (answer === 'hang') return;
    else if (answer.html !== undefined)
      response.writeHead(answer.status, { 'content-type': 'text/html' }).end(answer.html);
    else
      response
        .writeHead(answer.status, { 'content-type': 'application/json' })
        .end(JSON.stringify(answer.json));
  }

  #answer({ url, body }: StubRequest): StubAnswer {
    if (!this.#secure) return { status: 200, json: machineToken() };
    const directory = `${this.origin}/${tenantId}`;
    if (!url.pathname.startsWith(`/${tenantId}/`)) return unknownTenant;
    if (url.pathname.endsWith('/openid-configuration')) {
      const json = {
        issuer: `${directory}/v2.0`,
        jwks_uri: `${directory}/keys`,
        token_endpoint: `${directory}/oauth2/v2.0/token`,
        authorization_endpoint: `${directory}/oauth2/v2.0/authorize`,
      };
      return { status: 200, json };
    }
    const form = new URLSearchParams(body);
    if (form.get('client_id') !== clientId) return entraError(400, 'unauthorized_client', 700016);
    if (form.get('client_secret') !== clientSecret) return entraError(401, 'invalid_client', 7000215);
    return { status: 200, json: { token_type: 'Bearer', expires_in: 3_599, access_token: accessToken() } };
  }
}

/** As Entra ID words an error. */
export function entraError(status: number, error: string, code: number): StubAnswer {
  const error_description = `AADSTS${code}: for a reason. Trace ID: 1 Correlation ID: 2`;
  return {
    status,
    json: { error, error_description, error_codes: [code], trace_id: '1', correlation_id: '2' },
  };
}

const unknownTenant = entraError(400, 'invalid_tenant', 90002);

/** Azurite looks at audience, issuer and times, and at no signature. */
export function accessToken(seconds = 3_599): string {
  const now = Math.floor(Date.now() / 1_000);
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    aud: 'https://storage.azure.com',
    iss: `https://sts.windows.net/${tenantId}/`,
    ...{ iat: now - 10, nbf: now - 10, exp: now + seconds, tid: tenantId, appid: clientId },
  };
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.${part('signature')}`;
}

function machineToken(): Record<string, string> {
  const expires_on = String(Math.floor(Date.now() / 1_000) + 3_599);
  const resource = 'https://storage.azure.com';
  return { access_token: accessToken(), expires_on, expires_in: '3599', resource, token_type: 'Bearer' };
}
