import { type Command, Option } from 'commander';
import type { Access, Listen } from '../agent/http.ts';
import type { TrustOptions } from '../agent/trust.ts';
import { isCommitId } from '../git/commit-id.ts';
import type { CommitTrust } from '../model/config.ts';
import { usage } from '../model/errors.ts';
import { parseDuration } from '../model/units.ts';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';
import {
  type DrillPlaceOptions,
  drillPlace,
  type KeyOptions,
  type SourceOptions,
  withDrillPlace,
  withKeys,
  withSource,
} from './options.ts';

interface AgentCommandOptions extends SourceOptions, KeyOptions, DrillPlaceOptions {
  interval: string;
  listen: string;
  verifyCommits: CommitTrust;
  allowedSigners?: string;
  acceptCommit?: string;
  webhookSecretFile?: string;
  httpTokenFile?: string;
  httpCertFile?: string;
  httpKeyFile?: string;
}

/** `agent`: does for ever what `apply` does once. */
export function addAgent(program: Command, io: Io): Command {
  const command = program
    .command('agent')
    .summary('keep everything as the configuration says, for ever')
    .description(
      'Watches the configuration and makes it so: backups when they are due, missing copies, removals that no guard holds back. Logs to stdout, one JSON object a line unless that is a terminal. SIGTERM and Ctrl-C let running backups end, for up to 25 seconds; SIGHUP looks at the configuration at once. With --state a second agent on the same folder is refused.',
    )
    .option('--interval <duration>', 'how often the configuration is looked at', '1m')
    .addOption(
      new Option(
        '--verify-commits <which>',
        "which commits must be signed, whatever the repository's trust says",
      )
        .choices(['none', 'head', 'all'])
        .default('none'),
    )
    .option('--allowed-signers <file>', "who may sign by SSH, instead of the repository's own list")
    .option('--accept-commit <id>', 'a commit that you vouch for, with all before it; in full')
    .option(
      '--listen <host:port>',
      'where the status page, /healthz, /readyz and /metrics are served',
      '127.0.0.1:9595',
    )
    .option('--webhook-secret-file <file>', 'opens POST /webhook to who knows the secret in this file')
    .option(
      '--http-token-file <file>',
      'asks for the token in this file (bearer, or a password), but not of probes',
    )
    .option('--http-cert-file <file>', 'serves HTTPS with this certificate, PEM, its chain after it')
    .option('--http-key-file <file>', 'the private key of that certificate');
  withDrillPlace(command);
  withSource(command);
  withKeys(command);
  withExamples(
    command,
    'granary agent --repo https://git.example/fleet.git --seed eu-west --state /var/lib/granary --age-key-file key.txt',
  );
  return command.action((options: AgentCommandOptions) => agent(io, options));
}

async function agent(io: Io, options: AgentCommandOptions): Promise<void> {
  const intervalMs = parseInterval(options.interval);
  const listen = parseListen(options.listen);
  const { openSourceOf, readIdentities } = await import('./session.ts');
  const { runAgent } = await import('../agent/agent.ts');
  const { Trust } = await import('../agent/trust.ts');
  const { createLog } = await import('../agent/log.ts');
  const trust = new Trust(trustOptions(options));
  const terminal = process.stdout.isTTY === true;
  await runAgent(
    {
      openSource: (signal) => openSourceOf({ ...io, signal }, options, trust),
      identities: await readIdentities(io, options),
      seed: options.seed ?? null,
      intervalMs,
      listen,
      access: accessOf(options),
      onStart: (pollNow) => void process.on('SIGHUP', pollNow),
      stateFolder: options.state ?? null,
      drills: drillPlace(options),
      log: createLog({ write: io.out, terminal, color: io.color }),
    },
    io.signal,
  );
}

/** Signatures belong to commits, so that a folder has none that could be asked for. */
function trustOptions(options: AgentCommandOptions): TrustOptions {
  const { verifyCommits, allowedSigners = null, acceptCommit = null, repo, state = null } = options;
  if (repo === undefined && (verifyCommits !== 'none' || allowedSigners !== null || acceptCommit !== null)) {
    throw usage('signatures can be verified of a repository only', 'name it with --repo instead of --path');
  }
  if (acceptCommit !== null && !isCommitId(acceptCommit)) {
    throw usage(`\`${acceptCommit}\` is no commit id in full`, '`git rev-parse COMMIT` prints it');
  }
  return { floor: verifyCommits, allowedSigners, accepted: acceptCommit, stateFolder: state };
}

function accessOf(options: AgentCommandOptions): Access {
  const { webhookSecretFile = null, httpTokenFile = null, httpCertFile, httpKeyFile } = options;
  if ((httpCertFile === undefined) !== (httpKeyFile === undefined)) {
    throw usage('a certificate and its key go together', 'give both --http-cert-file and --http-key-file');
  }
  const tls =
    httpCertFile === undefined || httpKeyFile === undefined
      ? null
      : { certFile: httpCertFile, keyFile: httpKeyFile };
  return { webhookSecretFile, tokenFile: httpTokenFile, tls };
}

function parseInterval(text: string): number {
  const interval = parseDuration(text);
  if (interval === undefined || interval === 0) {
    throw usage(`\`${text}\` is no interval`, 'write it as 30s, 1m or 5m');
  }
  return interval;
}

/** `127.0.0.1:9595`, `[::1]:9595`, `localhost:0`. */
export function parseListen(text: string): Listen {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || !(port <= 65_535)) {
    throw usage(
      `\`${text}\` is no address to listen on`,
      'write HOST:PORT, as in 127.0.0.1:9595 or [::1]:9595',
    );
  }
  return { host, port };
}
