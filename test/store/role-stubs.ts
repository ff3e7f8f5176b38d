/** What AWS has beside S3, small and strict: STS with a trust policy, and the services that give a machine its role. */
import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { S3Server } from '../servers/s3-server.ts';

export interface Session {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** A real session of a MinIO server, for a stub to hand out. */
export async function realSession(server: S3Server): Promise<Session> {
  const { accessKeyId, secretAccessKey, endpoint, region } = server;
  const provider = fromTemporaryCredentials({
    params: { RoleArn: 'arn:aws:iam::000000000000:role/any', RoleSessionName: 'test' },
    masterCredentials: { accessKeyId, secretAccessKey },
    clientConfig: { endpoint, region },
  });
  const { sessionToken = '', ...keys } = await provider();
  return { ...keys, sessionToken };
}

/** Answers each request by a function of it, on a free port of this machine. */
class Stub implements AsyncDisposable {
  readonly #server: http.Server;

  protected constructor(answer: (request: Asked) => Answer) {
    this.#server = http.createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = '', url = '', headers } = request;
      const { status, type, body } = answer({ method, url, headers, body: String(Buffer.concat(chunks)) });
      response.writeHead(status, { 'content-type': type }).end(body);
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface Trust {
  readonly roleArn: string;
  /** null: the role asks for none. */
  readonly externalId: string | null;
  /** Who may assume it. */
  readonly accessKeyIds: readonly string[];
  /** The token of a pod that may. */
  readonly webIdentityToken?: string;
}

/** STS with one role. Whoever asks with anything else than its trust policy says gets AccessDenied. */
export class StsStub extends Stub {
  /** The parameters of each request, with the key that signed it. */
  readonly asked: Record<string, string>[] = [];
  trust: Trust;
  session: Session;
  lifetimeMs = 3_600_000;
  /** Answered instead, while it is set. */
  failure: { readonly status: number; readonly code: string } | null = null;
  /** Requests that are answered by `failure`, before it is over. */
  failuresLeft = Number.POSITIVE_INFINITY;

  constructor(trust: Trust, session: Session) {
    super((asked) => this.#answer(asked));
    this.trust = trust;
    this.session = session;
  }

  #answer({ headers, body }: Asked): Answer {
    const parameters = Object.fromEntries(new URLSearchParams(body));
    const signer = /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1] ?? '';
    this.asked.push({ ...parameters, signer });
    if (this.failure !== null && this.failuresLeft > 0) {
      this.failuresLeft -= 1;
      return stsError(this.failure.status, this.failure.code, 'because');
    }
    const { Action = '', RoleArn, ExternalId, WebIdentityToken } = parameters;
    const { roleArn, externalId, accessKeyIds, webIdentityToken } = this.trust;
    const isTrusted =
      Action === 'AssumeRoleWithWebIdentity'
        ? WebIdentityToken !== undefined && WebIdentityToken === webIdentityToken
        : Action === 'AssumeRole' && accessKeyIds.includes(signer) && (ExternalId ?? null) === externalId;
    if (!isTrusted || RoleArn !== roleArn) {
      const said = `User: ${signer} is not authorized to perform: sts:${Action} on resource: ${RoleArn}`;
      return stsError(403, 'AccessDenied', said);
    }
    const { accessKeyId, secretAccessKey, sessionToken } = this.session;
    const expiration = new Date(Date.now() + this.lifetimeMs).toISOString();
    const credentials = `<Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${sessionToken}</SessionToken><Expiration>${expiration}</Expiration></Credentials>`;
    return {
      status: 200,
      type: 'text/xml',
      body: `<${Action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${Action}Result>${credentials}</${Action}Result></${Action}Response>`,
    };
  }
}

function stsError(status: number, code: string, message: string): Answer {
  const body = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`;
  return { status, type: 'text/xml', body };
}

/** The metadata service of a machine (IMDSv2: nothing without its token), and that of a container at `/role`. */
export class MetadataStub extends Stub {
  session: Session;
  lifetimeMs = 3_600_000;
  /** What a container must show. */
  readonly containerToken = 'container-token';
  /** The machine has a role. */
  hasRole = true;
  readonly asked: string[] = [];

  constructor(session: Session) {
    super((asked) => this.#answer(asked));
    this.session = session;
  }

  #answer({ method, url, headers }: Asked): Answer {
    this.asked.push(`${method} ${url}`);
    const text = (body: string): Answer => ({ status: 200, type: 'text/plain', body });
    const refusal = (status: number): Answer => ({ status, type: 'text/plain', body: '' });
    const roles = '/latest/meta-data/iam/security-credentials/';
    if (url === '/role') {
      return headers.authorization === this.containerToken ? text(this.#credentials()) : refusal(401);
    }
    if (method === 'PUT' && url === '/latest/api/token') {
      return headers['x-aws-ec2-metadata-token-ttl-seconds'] === undefined
        ? refusal(400)
        : text('imds-token');
    }
    if (headers['x-aws-ec2-metadata-token'] !== 'imds-token') return refusal(401);
    if (!this.hasRole) return refusal(404);
    if (url === roles) return text('node-role');
    return url === `${roles}node-role` ? text(this.#credentials()) : refusal(404);
  }

  #credentials(): string {
    const { accessKeyId, secretAccessKey, sessionToken } = this.session;
    return JSON.stringify({
      Code: 'Success',
      Type: 'AWS-HMAC',
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      Token: sessionToken,
      Expiration: new Date(Date.now() + this.lifetimeMs).toISOString(),
    });
  }
}
