/**
 * Installs what the tests run against: `node test/servers/install.ts [--only etcd-3.6,sops] [--for tests|bench]`.
 *
 * Programs go into the user's cache folder, each built or unpacked in a folder beside and renamed into place, so two
 * runs at once do not disturb each other. With CI=true a program that cannot be had is exit code 1; otherwise its
 * tests are skipped by name.
 */
import { parseArgs } from 'node:util';
import { catalogue, isToolName, type Tool, type ToolName, testTools, toolNames } from './catalogue.ts';
import { installDebianPackages, unpackDebianPackages } from './install-debian.ts';
import { buildWithGo } from './install-go.ts';
import { installNpmPackage } from './install-npm.ts';
import { missing, toolFolder } from './tools.ts';

/** One thing could not be installed; the message says why and what to do. */
export interface Failure {
  readonly name: ToolName;
  readonly reason: string;
}

async function install(name: ToolName): Promise<void> {
  const entry: Tool = catalogue[name];
  if (entry.kind === 'go') {
    say(name, `building ${entry.version} (about ${entry.buildSeconds} s) …`);
    await buildWithGo(entry, toolFolder(name));
  } else if (entry.kind === 'npm') {
    say(name, `fetching ${entry.package} ${entry.version} …`);
    await installNpmPackage(entry, toolFolder(name));
  } else if (entry.how === 'unpack') {
    say(name, `unpacking ${entry.packages.join(', ')} …`);
    await unpackDebianPackages(entry, toolFolder(name));
  } else {
    say(name, `installing ${entry.packages.join(', ')} …`);
    await installDebianPackages(entry.packages);
  }
  if (missing([name]).length > 0) throw new Error(describeAbsence(entry));
}

function describeAbsence(entry: Tool): string {
  if (entry.kind === 'debian' && entry.versionLine !== undefined) {
    return `this Debian's ${entry.packages.join(', ')} is another version than the tests want`;
  }
  return 'it was installed but cannot be found';
}

async function installAll(names: readonly ToolName[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  const absent = missing(names);
  const cached = names.filter((name) => !absent.includes(name));
  if (cached.length > 0) console.log(`test servers: ${cached.join(', ')} are there`);
  // One after another: each build uses all cores.
  for (const name of absent) {
    const start = performance.now();
    try {
      await install(name);
      say(name, `done in ${((performance.now() - start) / 1_000).toFixed(0)} s`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      say(name, `cannot be installed: ${reason}`);
      failures.push({ name, reason });
    }
  }
  return failures;
}

function say(name: ToolName, text: string): void {
  console.log(`${name.padEnd(10)} ${text}`);
}

function readOptions(): ToolName[] {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, for: { type: 'string', default: 'tests' } },
  });
  if (values.only === undefined) {
    if (values.for === 'bench') return toolNames;
    if (values.for === 'tests') return [...testTools];
    throw new Error(`--for takes tests or bench, not ${values.for}`);
  }
  return values.only.split(',').map((name) => {
    if (!isToolName(name)) throw new Error(`--only: ${name} is none of ${toolNames.join(', ')}`);
    return name;
  });
}

async function main(): Promise<number> {
  let names: ToolName[];
  try {
    names = readOptions();
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    return 2;
  }
  const failures = await installAll(names);
  if (failures.length === 0) return 0;
  const list = failures.map((failure) => failure.name).join(', ');
  if (process.env.CI === 'true') {
    console.error(`error: not installed: ${list}. With CI=true every test must run`);
    return 1;
  }
  console.log(`not installed: ${list}. Tests that need them are skipped by name; the others run`);
  return 0;
}

process.exitCode = await main();
