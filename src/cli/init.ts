import { join, relative } from 'node:path';
import { type Command, Option } from 'commander';
import type { Discovered } from '../execute/discover.ts';
import type { Initialised } from '../execute/init.ts';
import { usage } from '../model/errors.ts';
import { shellWord } from '../model/shell.ts';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import { grouped, type OutputOptions, withOutput } from './options.ts';

interface InitOptions extends OutputOptions {
  fromKubeadm?: boolean;
  kubernetesDir?: string;
  endpoints?: string;
  cacert?: string;
  cert?: string;
  key?: string;
  user?: string;
  passwordFile?: string;
  seed?: string;
  cluster?: string;
}

/** `init [DIR]`: a working configuration repository. */
export function addInit(program: Command, io: Io): Command {
  const command = program
    .command('init')
    .argument('[dir]', 'folder to write into (default: the current one)')
    .summary('write a configuration repository to begin with')
    .description(
      [
        'Writes a seed, a destination, a policy, rules for SOPS, a workflow that shows the plan of each pull request, and a new age key that opens the backups. No file is ever overwritten: where one is there already, nothing is written.',
        'With --from-kubeadm or --endpoints the seed is that of a cluster which runs: it is asked once for its members, versions and the names in their certificates, and all of that is written down; nothing is looked up later. Certificates are named by their paths, a password is encrypted.',
      ].join('\n\n'),
    );
  grouped(command, 'A cluster that runs:', withCluster);
  withOutput(command);
  withExamples(
    command,
    'granary init fleet',
    'sudo granary init fleet --from-kubeadm',
    'granary init fleet --endpoints https://10.0.0.1:2379 --cacert ca.crt --cert client.crt --key client.key',
  );
  return command.action((dir: string | undefined, options: InitOptions) => init(io, dir ?? '.', options));
}

function withCluster(command: Command): Command {
  return command
    .addOption(
      new Option('--from-kubeadm', "the etcd of this control-plane node, by kubeadm's manifest").conflicts([
        ...['endpoints', 'cacert', 'cert', 'key'],
      ]),
    )
    .option('--kubernetes-dir <dir>', 'with --from-kubeadm: where its files are (default: /etc/kubernetes)')
    .option('--endpoints <urls>', 'client URLs of the cluster, comma between; one that answers is enough')
    .option('--cacert <file>', 'PEM of the authority that the members are signed by')
    .option('--cert <file>', 'PEM of the client certificate')
    .option('--key <file>', 'PEM of its key')
    .option('--user <name>', 'user of etcd, with the role root; the password is never on the command line')
    .option('--password-file <file>', 'its password (or ETCDCTL_PASSWORD)')
    .option('--seed <name>', 'what this place is to be called (default: main)')
    .option('--cluster <name>', 'what the cluster is to be called (default: etcd)');
}

async function init(io: Io, dir: string, options: InitOptions): Promise<void> {
  const { initialise } = await import('../execute/init.ts');
  const names = {
    seed: nameOf('--seed', options.seed ?? 'main'),
    cluster: nameOf('--cluster', options.cluster ?? 'etcd'),
  };
  const found = await discovered(io, options);
  const seed = found === null ? null : await seedOf(names, found);
  const made = await initialise(dir, new Date(), seed);
  const next = nextCommands(made, found === null ? null : `${names.seed}/${names.cluster}`);
  if (options.output === 'json') {
    const members = found === null ? {} : { members: found.members, warnings: found.warnings };
    io.out(JSON.stringify({ ...made, ...members, next }, null, 2));
    return;
  }
  for (const warning of found?.warnings ?? []) io.warn(warning);
  io.out(textOf(made, next, found, names.seed));
}

/** Asks the cluster that the flags name; null where they name none. */
async function discovered(io: Io, options: InitOptions): Promise<Discovered | null> {
  const { fromKubeadm, kubernetesDir, endpoints } = options;
  if (fromKubeadm !== true && endpoints === undefined) {
    const flags = { cacert: '--cacert', cert: '--cert', key: '--key', user: '--user' } as const;
    const others = {
      ...flags,
      passwordFile: '--password-file',
      seed: '--seed',
      cluster: '--cluster',
    } as const;
    const given = Object.entries(others).find(([name]) => options[name as keyof typeof others] !== undefined);
    const flag = given?.[1] ?? (kubernetesDir === undefined ? undefined : '--kubernetes-dir');
    if (flag === undefined) return null;
    throw usage(`${flag} belongs to --endpoints or --from-kubeadm`, 'say which cluster it is about');
  }
  if (kubernetesDir !== undefined && fromKubeadm !== true)
    throw usage('--kubernetes-dir belongs to --from-kubeadm', 'leave it out');
  const { discoverCluster } = await import('../execute/discover.ts');
  const { kubeadmLogin, kubernetesFolder } = await import('../execute/kubeadm.ts');
  const { user, passwordFile } = options;
  const login =
    endpoints === undefined
      ? { ...(await kubeadmLogin(kubernetesDir ?? kubernetesFolder)), user, passwordFile }
      : { ...options, endpoints };
  return discoverCluster(login, { env: io.env, signal: io.signal });
}

async function seedOf(names: { readonly seed: string; readonly cluster: string }, found: Discovered) {
  const { seedFile } = await import('../execute/seed-file.ts');
  return { name: names.seed, yaml: seedFile(names, found), auth: found.auth };
}

/** @throws GranaryError `usage` */
function nameOf(flag: string, name: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return name;
  throw usage(`\`${name}\` is no name for ${flag}`, 'write small letters, digits and -, as in eu-west');
}

const words: Readonly<Record<string, string>> = {
  'seeds/example.yaml': 'which etcd: put your endpoints here',
  'destinations/local.yaml': 'where to',
  'policies/hourly.yaml': 'when, how long, for whom encrypted',
  '.sops.yaml': 'for whom credentials are encrypted',
  '.gitignore': 'keeps private keys out of Git',
  '.github/workflows/granary.yaml': 'shows the plan of each change in its pull request',
  'credentials/etcd-login.sops.yaml': 'user and password of etcd, encrypted',
  'age.key': 'opens the backups: keep a copy far from this machine',
};

function textOf(
  { folder, files }: Initialised,
  next: readonly string[],
  found: Discovered | null,
  seed: string,
): string {
  const width = Math.max(...files.map(({ length }) => length));
  const members = found?.members.length ?? 0;
  const what = (name: string) =>
    name === `seeds/${seed}.yaml` && found !== null
      ? `the cluster, with ${members} member${members === 1 ? '' : 's'}${versionsOf(found)}`
      : (words[name] ?? '');
  return [
    `Written into ${folder}:`,
    ...files.map((name) => `  ${name.padEnd(width)}  ${what(name)}`.trimEnd()),
    '',
    found === null ? 'Next, with an etcd at the endpoint in seeds/example.yaml:' : 'Next:',
    ...next.map((line) => `  ${line}`),
  ].join('\n');
}

function versionsOf({ members }: Discovered): string {
  const versions = [...new Set(members.flatMap(({ version }) => version ?? []))];
  return versions.length === 0 ? '' : ` of etcd ${versions.join(', ')}`;
}

/** What to type, from where the command was run. */
function nextCommands({ folder, backups }: Initialised, cluster: string | null): string[] {
  const here = relative('', folder);
  const path = here === '' ? '' : ` --path ${shellWord(here.startsWith('..') ? folder : here)}`;
  const key = ` --age-key-file ${shellWord(join(here.startsWith('..') ? folder : here, 'age.key'))}`;
  return [
    `mkdir -p ${shellWord(backups)}`,
    `granary validate${path}`,
    ...(cluster === null ? [] : [`granary check ${cluster}${path}${key}`]),
    `granary backup ${cluster ?? 'example/etcd'}${path}${key}`,
  ];
}
