/** A configuration repository of a test: one seed, one cluster, and what the test puts into it. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { type TempFolder, tempFolder } from '../servers/temp.ts';
import { requireTool } from '../servers/tools.ts';
import { filesIn, plant } from './granary.ts';

export interface FleetOptions {
  readonly endpoints: readonly string[];
  /** Fields of the cluster beside its endpoints. */
  readonly cluster?: object;
  /** Of the policy beside what `writePolicy` says. */
  readonly policy?: object;
  /** Destinations by name, each with its `spec`. Default: `local`, the folder `local`. */
  readonly destinations?: Readonly<Record<string, object>>;
}

export class Fleet implements Disposable {
  readonly folder: TempFolder;
  readonly identity: string;
  readonly recipient: string;
  /** Of the child process: a folder that must be empty again afterwards. */
  readonly temp: string;

  private constructor(folder: TempFolder, identity: string, recipient: string) {
    this.folder = folder;
    this.identity = identity;
    this.recipient = recipient;
    this.temp = folder.join('tmp');
    for (const path of [this.temp, this.config, folder.join('local')]) mkdirSync(path, { recursive: true });
    writeFileSync(folder.join('age.key'), `${identity}\n`, { mode: 0o600 });
    this.writeText('.sops.yaml', sopsRules(recipient));
  }

  static async make(options: FleetOptions): Promise<Fleet> {
    const identity = plant(await generateX25519Identity());
    const fleet = new Fleet(tempFolder('fleet'), identity, await identityToRecipient(identity));
    const { endpoints, cluster = {} } = options;
    const destinations = options.destinations ?? { local: fleet.local('local') };
    fleet.write('Seed', 'eu', { clusters: [{ name: 'prod', endpoints, ...cluster }] });
    for (const [name, spec] of Object.entries(destinations)) fleet.write('Destination', name, spec);
    fleet.writePolicy('hourly', { destinations: Object.keys(destinations), ...options.policy });
    return fleet;
  }

  get config(): string {
    return this.folder.join('config');
  }

  get keyFile(): string {
    return this.folder.join('age.key');
  }

  /** What every command needs to find its configuration. */
  get source(): string[] {
    return ['--path', this.config];
  }

  /** `source`, and the private key. */
  get opened(): string[] {
    return [...this.source, '--age-key-file', this.keyFile];
  }

  /** The environment of the child process. */
  get env(): { TMPDIR: string } {
    return { TMPDIR: this.temp };
  }

  /** The `spec` of a Destination in a folder of its own, which is made. */
  local(name: string): { provider: 'filesystem'; path: string } {
    const path = this.folder.join(name);
    mkdirSync(path, { recursive: true });
    return { provider: 'filesystem', path };
  }

  /** Writes one object as YAML, of which JSON is a part. */
  write(kind: string, name: string, spec: object): void {
    const object = { apiVersion: 'granary.dev/v1', kind, metadata: { name }, spec };
    this.writeText(`${kind.toLowerCase()}-${name}.yaml`, `${JSON.stringify(object, null, 2)}\n`);
  }

  /** Runs at 3 o'clock on 29 February, so that no test meets a slot that it did not ask for. */
  writePolicy(name: string, spec: object): void {
    this.write('Policy', name, {
      clusters: { seeds: ['eu'] },
      schedule: { cron: '0 3 29 2 *' },
      keep: { last: 3 },
      ...spec,
    });
  }

  /** A Credential, encrypted by the real sops. Every value of `data` but user names and key ids is planted. */
  seal(
    name: string,
    type: 'etcd' | 's3' | 'token',
    data: Readonly<Record<string, string>>,
    spec: object = {},
  ): string {
    const file = `${name}.sops.yaml`;
    const object = {
      apiVersion: 'granary.dev/v1',
      kind: 'Credential',
      metadata: { name },
      spec: { type, ...spec },
      data,
    };
    for (const [field, value] of Object.entries(data)) {
      if (field !== 'username' && field !== 'accessKeyId' && !value.includes('CERTIFICATE')) plant(value);
    }
    this.writeText(file, `${JSON.stringify(object, null, 2)}\n`);
    const env = { HOME: this.folder.path, PATH: '/nowhere', SOPS_DISABLE_VERSION_CHECK: '1' };
    execFileSync(requireTool('sops'), ['encrypt', '--in-place', file], {
      cwd: this.config,
      env,
      stdio: 'pipe',
    });
    return file;
  }

  writeText(name: string, text: string): void {
    const path = this.folder.join('config', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  read(name: string): string {
    return readFileSync(this.folder.join('config', name), 'utf8');
  }

  remove(name: string): void {
    rmSync(this.folder.join('config', name));
  }

  /** What a destination in a folder holds of backups, and what a broken-off write may have left; not the marker and status. */
  stored(name: string): string[] {
    return filesIn(this.folder.join(name)).filter(
      (file) => file !== 'granary.json' && !/^seeds\/[^/]+\/status\.json$/.test(file),
    );
  }

  /** Files in the child's temporary folder. */
  leftInTemp(): string[] {
    return filesIn(this.temp);
  }

  [Symbol.dispose](): void {
    this.folder.remove();
  }
}

/** A password that no output may show. */
export function freshSecret(): string {
  return randomBytes(18).toString('base64url');
}

function sopsRules(recipient: string): string {
  return `creation_rules:\n  - path_regex: \\.sops\\.yaml$\n    encrypted_regex: ^data$\n    age: ${recipient}\n`;
}
