/** The world of the demo: an etcd with a user, keys in it, and a Git repository that says how it is backed up. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { EtcdServer } from '../../test/servers/etcd.ts';
import { requireTool } from '../../test/servers/tools.ts';

export interface World {
  /** The folder with everything in it, which stays when the demo is over. */
  readonly folder: string;
  readonly repository: string;
  readonly destination: string;
  readonly keyFile: string;
  /** Public keys: of `keyFile`, and of one that is kept elsewhere, as it should be. */
  readonly recipients: readonly string[];
  readonly password: string;
}

/** Makes the folders, an age key and a password for etcd's root user. */
export async function makeWorld(folder: string): Promise<World> {
  const identity = await generateX25519Identity();
  const world: World = {
    folder,
    repository: join(folder, 'config'),
    destination: join(folder, 'backups'),
    keyFile: join(folder, 'age.key'),
    recipients: [
      await identityToRecipient(identity),
      await identityToRecipient(await generateX25519Identity()),
    ],
    password: randomBytes(12).toString('base64url'),
  };
  for (const path of [world.repository, world.destination]) mkdirSync(path, { recursive: true });
  writeFileSync(world.keyFile, `# the private key of the demo\n${identity}\n`, { mode: 0o600 });
  return world;
}

/** Writes the configuration, encrypts the credential with the real sops, and commits. Gives the names of the files. */
export function writeRepository(world: World, etcd: EtcdServer): string[] {
  const files: Record<string, string> = {
    '.sops.yaml': `creation_rules:\n  - path_regex: \\.sops\\.yaml$\n    encrypted_regex: ^data$\n    age: ${world.recipients[0]}\n`,
    'seed.yaml': `apiVersion: granary.dev/v1
kind: Seed
metadata: {name: demo}
spec:
  clusters:
    - name: shop
      endpoints: ${JSON.stringify(etcd.endpoints)}
      auth: {credential: etcd-shop}
`,
    'destination.yaml': `apiVersion: granary.dev/v1
kind: Destination
metadata: {name: folder}
spec:
  provider: filesystem
  path: ${world.destination}
`,
    'policy.yaml': `apiVersion: granary.dev/v1
kind: Policy
metadata: {name: every-minute}
spec:
  clusters: {seeds: [demo]}
  schedule: {cron: "* * * * *"}
  destinations: [folder]
  keep: {last: 10, hourly: 24, daily: 7}
  encryption: {recipients: [${world.recipients.join(', ')}]}
`,
    'credentials/etcd-shop.sops.yaml': `apiVersion: granary.dev/v1
kind: Credential
metadata:
  name: etcd-shop
spec:
  type: etcd
data:
  username: root
  password: ${world.password}
`,
  };
  for (const [name, text] of Object.entries(files)) {
    const path = join(world.repository, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const cwd = world.repository;
  execFileSync(requireTool('sops'), ['encrypt', '--in-place', 'credentials/etcd-shop.sops.yaml'], { cwd });
  const git = (...args: string[]) => execFileSync('git', args, { cwd, stdio: 'pipe' });
  git('init', '--quiet', '--initial-branch=main');
  git('add', '--all');
  const author = ['-c', 'user.name=Demo', '-c', 'user.email=demo@granary.example'];
  git(...author, 'commit', '--quiet', '--message=Back up the shop every minute');
  return Object.keys(files);
}
