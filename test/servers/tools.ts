/** Finds the programs that tests run against. Nothing is installed here: that is `install.ts`. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { catalogue, type Tool, type ToolName } from './catalogue.ts';

export type { ToolName } from './catalogue.ts';

/** The folder below which each tool has a folder of its own. */
export function cacheFolder(): string {
  const { GRANARY_TEST_CACHE, XDG_CACHE_HOME } = process.env;
  const root = GRANARY_TEST_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'granary');
  return join(root, 'test-servers');
}

/** Where a tool's `bin` folder is, or will be once it is installed. */
export function toolFolder(name: ToolName): string {
  const entry: Tool = catalogue[name];
  const base = name.startsWith('etcd-') ? 'etcd' : name;
  const version = entry.kind !== 'debian' ? entry.version : name === 'etcd-3.4' ? '3.4-debian' : 'debian';
  return join(cacheFolder(), `${base}-${version}`);
}

const found = new Map<string, string>();

/**
 * The path of one of a tool's programs, from the cache folder or, for what Debian packages, from the PATH.
 * `binary` defaults to the tool's first program. Undefined where it is not installed.
 */
export function tool(name: ToolName, binary?: string): string | undefined {
  const entry: Tool = catalogue[name];
  const program = binary ?? entry.binaries[0] ?? name;
  const known = found.get(`${name}/${program}`);
  if (known !== undefined) return known;
  const path = candidates(entry, name, program).find(
    (candidate) => isExecutable(candidate) && fits(entry, candidate),
  );
  if (path !== undefined) found.set(`${name}/${program}`, path);
  return path;
}

/** As `tool`, but throws with what to do where it is not installed. */
export function requireTool(name: ToolName, binary?: string): string {
  const path = tool(name, binary);
  if (path === undefined) {
    const what = binary === undefined ? name : `${name} (${binary})`;
    throw new Error(`${what} is not installed: run \`node test/servers/install.ts --only ${name}\``);
  }
  return path;
}

/** Which of these are not wholly installed. */
export function missing(names: readonly ToolName[]): ToolName[] {
  return names.filter((name) => catalogue[name].binaries.some((binary) => tool(name, binary) === undefined));
}

function candidates(entry: Tool, name: ToolName, program: string): string[] {
  const cached = join(toolFolder(name), 'bin', program);
  if (entry.kind !== 'debian') return [cached];
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return [cached, ...onPath.map((folder) => join(folder, program))];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function fits(entry: Tool, path: string): boolean {
  if (entry.kind !== 'debian' || entry.versionLine === undefined) return true;
  // etcdctl 3.4 speaks of versions in its own way: it takes `version` and wants to be told the API.
  const asks = path.endsWith('ctl') ? ['version'] : ['--version'];
  try {
    const output = execFileSync(path, asks, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ETCDCTL_API: '3' },
    });
    return entry.versionLine.test(output.split('\n')[0] ?? '');
  } catch {
    return false;
  }
}
