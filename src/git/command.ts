/** Runs git through simple-git: with a clean environment, no prompts, no hooks, a signal and a stall limit. */
import { GitPluginError, simpleGit } from 'simple-git';
import type { GranaryError } from '../model/errors.ts';
import type { RepositoryAddress } from './address.ts';
import { explainFailure } from './failure.ts';

export interface GitContext {
  /** Where git runs. Must be there. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** The remote that is spoken with; null for local commands. */
  readonly address: RepositoryAddress | null;
  /** Without a byte of output for this long, git is ended: `git-failed`. */
  readonly stallMs: number;
  /** Set for git, on top of the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Variables of git that say how to reach and trust a server: all others are kept from it. */
const inherited = [
  'GIT_ASKPASS',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_CONFIG_SYSTEM',
  'GIT_HTTP_LOW_SPEED_LIMIT',
  'GIT_HTTP_LOW_SPEED_TIME',
  'GIT_HTTP_PROXY_AUTHMETHOD',
  'GIT_HTTP_USER_AGENT',
  // Not git's own: what programs behind GIT_ASKPASS are usually given the answers in.
  'GIT_PASSWORD',
  'GIT_PROXY_SSL_CAINFO',
  'GIT_SSL_CAINFO',
  'GIT_SSL_CAPATH',
  'GIT_SSL_CERT',
  'GIT_SSL_KEY',
  'GIT_TOKEN',
  'GIT_USERNAME',
  'SSH_ASKPASS',
];

/** Variables that Granary sets itself. */
const own = [
  'GIT_ALLOW_PROTOCOL',
  'GIT_CONFIG_COUNT',
  'GIT_CONFIG_KEY_0',
  'GIT_CONFIG_VALUE_0',
  'GIT_INDEX_FILE',
  'GIT_OPTIONAL_LOCKS',
  'GIT_SSH_COMMAND',
  'GIT_TERMINAL_PROMPT',
];

/** Dropped although they do not begin with GIT_: they name programs that git would start. */
const programs = ['EDITOR', 'VISUAL', 'PAGER', 'PREFIX'];

const config = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.autocrlf=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'log.showSignature=false',
  // Whoever may commit into a folder can give it the files of a repository, with a configuration that runs programs.
  'safe.bareRepository=explicit',
  // Lets the helper process that speaks HTTP end by itself, should it outlive git.
  'http.lowSpeedLimit=1',
  'http.lowSpeedTime=60',
];

/**
 * Runs one git command and gives its stdout. Arguments are passed as they are, without a shell; whatever comes from
 * outside must stand behind `--` or have been checked. Errors are GranaryErrors without secrets; an abort rejects
 * with the signal's reason.
 */
export async function runGit(args: readonly string[], context: GitContext): Promise<string> {
  context.signal.throwIfAborted();
  try {
    const git = simpleGit({
      baseDir: context.folder,
      abort: context.signal,
      timeout: { block: context.stallMs },
      config,
      allowEnvironment: [...inherited, ...own],
      // Each is opened for what this file sets, or for what the operator's own environment says about reaching servers.
      unsafe: {
        allowUnsafeAskPass: true,
        allowUnsafeConfigEnvCount: true,
        allowUnsafeConfigPaths: true,
        allowUnsafeFsMonitor: true,
        allowUnsafeHooksPath: true,
        allowUnsafeSshCommand: true,
      },
      // simple-git takes a failure without words on stderr for a success.
      errors: (error, result) => {
        if (error !== undefined || result.exitCode === 0) return error;
        return new Error(Buffer.concat(result.stdErr).toString() || `git ended with code ${result.exitCode}`);
      },
    });
    return await git.env(environment(context)).raw([...args]);
  } catch (error) {
    context.signal.throwIfAborted();
    throw translate(error, args[0] ?? 'git', context);
  }
}

function environment(context: GitContext): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    const guarded = /^GIT_/i.test(name) || programs.includes(name.toUpperCase());
    if (value !== undefined && (!guarded || inherited.includes(name))) env[name] = value;
  }
  const { authorization } = context.address ?? { authorization: null };
  return {
    ...env,
    // Failures are told apart by their words.
    LC_ALL: 'C',
    LANGUAGE: 'C',
    GIT_ALLOW_PROTOCOL: 'file:http:https:ssh',
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_SSH_COMMAND: `${process.env.GIT_SSH_COMMAND || 'ssh'} -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=20`,
    ...(authorization === null
      ? {}
      : {
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: 'http.extraHeader',
          GIT_CONFIG_VALUE_0: `Authorization: ${authorization}`,
        }),
    ...context.env,
  };
}

function translate(error: unknown, command: string, context: GitContext): GranaryError {
  const stalled = error instanceof GitPluginError && error.plugin === 'timeout' ? context.stallMs : null;
  const words = error instanceof Error ? error.message : String(error);
  return explainFailure({ words, command, stalledMs: stalled, address: context.address });
}
