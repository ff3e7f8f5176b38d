/** Users and policies of MinIO, made through its admin API: it takes secrets only encrypted, in a format of its own. */
import { createCipheriv, createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { S3Server } from './s3-server.ts';

export interface MinioUser {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Makes a user that may do what `policy` says, and nothing else. Servers without TLS only. */
export async function createMinioUser(server: S3Server, policy: object): Promise<MinioUser> {
  const name = `user-${randomBytes(6).toString('hex')}`;
  const user = { accessKeyId: name, secretAccessKey: randomBytes(15).toString('hex') };
  await admin(server, 'add-canned-policy', { name }, Buffer.from(JSON.stringify(policy)));
  const account = JSON.stringify({ secretKey: user.secretAccessKey, status: 'enabled' });
  await admin(server, 'add-user', { accessKey: name }, encrypted(account, server.secretAccessKey));
  const query = { policyName: name, userOrGroup: name, isGroup: 'false' };
  await admin(server, 'set-user-or-group-policy', query, Buffer.alloc(0));
  return user;
}

async function admin(
  server: S3Server,
  call: string,
  query: Readonly<Record<string, string>>,
  body: Buffer,
): Promise<void> {
  const url = new URL(`/minio/admin/v3/${call}?${new URLSearchParams(query)}`, server.endpoint);
  const headers = signed(server, 'PUT', url, body);
  const answer = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(body) });
  if (!answer.ok) throw new Error(`${call}: ${answer.status} ${await answer.text()}`);
}

/** Signature version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). */
function signed(
  { accessKeyId, secretAccessKey, region }: S3Server,
  method: string,
  url: URL,
  body: Buffer,
): Record<string, string> {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const day = time.slice(0, 8);
  const bodyHash = createHash('sha256').update(body).digest('hex');
  const headers: Record<string, string> = {
    host: url.host,
    'x-amz-content-sha256': bodyHash,
    'x-amz-date': time,
  };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const query = [...url.searchParams].toSorted().map((pair) => pair.map(encodeURIComponent).join('='));
  const request = [method, url.pathname, query.join('&'), lines.join(''), names, bodyHash].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const hash = createHash('sha256').update(request).digest('hex');
  let key: string | Buffer = `AWS4${secretAccessKey}`;
  for (const part of [day, region, 's3', 'aws4_request']) key = hmac(key, part);
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash}`).toString('hex');
  const { host: _host, ...sent } = headers;
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/**
 * Salt, id of the method, nonce, and one fragment of AES-GCM whose additional data are the tag of an empty one
 * (https://github.com/minio/madmin-go, `EncryptData`; https://github.com/secure-io/sio-go).
 */
function encrypted(text: string, password: string): Buffer {
  const pbkdf2AesGcm = 2;
  const salt = randomBytes(32);
  const nonce = randomBytes(8);
  const key = pbkdf2Sync(password, salt, 8192, 32, 'sha256');
  const seal = (counter: number, data: Buffer, additional: Buffer) => {
    const full = Buffer.alloc(12);
    nonce.copy(full);
    full.writeUInt32LE(counter, 8);
    const cipher = createCipheriv('aes-256-gcm', key, full).setAAD(additional);
    return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
  };
  const last = Buffer.from([0x80]);
  const additional = Buffer.concat([last, seal(0, Buffer.alloc(0), Buffer.alloc(0))]);
  return Buffer.concat([salt, Buffer.from([pbkdf2AesGcm]), nonce, seal(1, Buffer.from(text), additional)]);
}
