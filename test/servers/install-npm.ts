/** Programs from npm packages, each at one version in a folder of its own. */
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { NpmTool } from './catalogue.ts';
import { placeWhole } from './place.ts';

const execute = promisify(execFile);

/** Installs a package below `folder`, its programs in `folder/bin`. No script of any package runs. */
export async function installNpmPackage(tool: NpmTool, folder: string): Promise<void> {
  await placeWhole(folder, async (scratch, bin) => {
    // A global installation has `bin` and `lib` below its prefix, and looks at no package.json around it.
    const args = ['install', '--global', '--prefix', dirname(bin), '--ignore-scripts', '--omit=dev'];
    try {
      await execute('npm', [...args, '--no-audit', '--no-fund', `${tool.package}@${tool.version}`], {
        cwd: scratch,
        maxBuffer: 64 * 1024 * 1024,
      });
    } catch (error) {
      const output = (error as { stderr?: string }).stderr ?? String(error);
      throw new Error(`\`npm install\` failed: ${output.trim().split('\n').slice(-3).join('; ')}`);
    }
  });
}
