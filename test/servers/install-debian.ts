/** Programs from Debian packages: unpacked into the cache folder, or installed with apt-get. */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { DebianTool } from './catalogue.ts';
import { placeWhole } from './place.ts';

const execute = promisify(execFile);
let listsUpdated = false;

/** Fetches packages (apt checks their signatures) and takes only their programs and named libraries. No root is needed. */
export async function unpackDebianPackages(tool: DebianTool, folder: string): Promise<void> {
  await requireApt();
  await placeWhole(folder, async (scratch, bin) => {
    const download = () => apt(['download', ...tool.packages], { cwd: scratch });
    try {
      await download();
    } catch (error) {
      // A fresh machine has no package lists, an old one stale lists.
      if (!(await updateLists())) throw error;
      await download();
    }
    const content = join(scratch, 'content');
    for (const file of readdirSync(scratch).filter((name) => name.endsWith('.deb'))) {
      await execute('dpkg-deb', ['--extract', join(scratch, file), content]);
    }
    for (const name of tool.binaries) {
      const folder = ['bin', 'sbin'].find((each) => existsSync(join(content, 'usr', each, name))) ?? 'bin';
      copyFileSync(join(content, 'usr', folder, name), join(bin, name));
    }
    // Below a folder that is named after the machine's architecture.
    const libraries = join(content, 'usr', 'lib');
    for (const name of tool.libraries ?? []) {
      const path = readdirSync(libraries, { recursive: true, encoding: 'utf8' }).find(
        (each) => basename(each) === name,
      );
      if (path === undefined) throw new Error(`${tool.packages.join(', ')} hold no ${name}`);
      copyFileSync(join(libraries, path), join(bin, name));
    }
  });
}

/** Installs packages for the whole machine, as root or through sudo without a password. */
export async function installDebianPackages(packages: readonly string[]): Promise<void> {
  await requireApt();
  const missing = `install it yourself: \`apt-get install ${packages.join(' ')}\``;
  if (!(await canBeRoot())) throw new Error(`this needs root or sudo without a password; ${missing}`);
  const install = () => asRoot(['apt-get', 'install', '--yes', '--no-install-recommends', ...packages]);
  try {
    await install();
  } catch (error) {
    if (!(await updateLists())) throw error;
    await install();
  }
}

async function requireApt(): Promise<void> {
  if (!existsSync('/usr/bin/apt-get')) {
    throw new Error('this is no Debian or Ubuntu; install it with the package manager of this system');
  }
}

/** False where the lists are fresh already, or only root could fetch them and this is not root. */
async function updateLists(): Promise<boolean> {
  if (listsUpdated || !(await canBeRoot())) return false;
  listsUpdated = true;
  await asRoot(['apt-get', 'update']);
  return true;
}

function apt(args: readonly string[], options: { cwd: string }): Promise<void> {
  return quietly('apt-get', args, options);
}

async function asRoot(command: readonly string[]): Promise<void> {
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '--non-interactive'];
  const [program = '', ...args] = [...sudo, ...environment, ...command];
  await quietly(program, args);
}

async function canBeRoot(): Promise<boolean> {
  if (process.getuid?.() === 0) return true;
  return execute('sudo', ['--non-interactive', 'true']).then(
    () => true,
    () => false,
  );
}

async function quietly(
  program: string,
  args: readonly string[],
  options: { cwd?: string } = {},
): Promise<void> {
  try {
    await execute(program, args, { ...options, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? String(error);
    const lines = output.trim().split('\n');
    throw new Error(`\`${program} ${args[0]}\` failed: ${lines.slice(-2).join('; ')}`);
  }
}
