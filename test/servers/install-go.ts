/** Builds a pinned tool with the Go toolchain, into a folder that appears whole or not at all. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { GoModuleTool } from './catalogue.ts';
import { placeWhole } from './place.ts';

const execute = promisify(execFile);

/** Builds all programs of a tool into `folder/bin`. Rejects with what to do where that is not possible. */
export async function buildWithGo(tool: GoModuleTool, folder: string): Promise<void> {
  const go = await findGo();
  await placeWhole(folder, async (scratch, bin) => {
    const run = async (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
      try {
        await execute(go, args, {
          cwd: scratch,
          env: { ...process.env, ...env },
          maxBuffer: 64 * 1024 * 1024,
        });
      } catch (error) {
        throw new Error(
          `\`go ${args[0]}\` failed: ${lastLines((error as { stderr?: string }).stderr ?? String(error))}`,
        );
      }
    };
    const { build } = tool;
    if (build.how === 'install') {
      // GOBIN does not go with a go.mod nearby; -mod is the default of `go install package@version`.
      await run(['install', '-trimpath', `${build.package}@${build.goVersion}`], {
        GOBIN: bin,
        GOFLAGS: withoutMod(),
      });
      return;
    }
    await run(['mod', 'init', 'scratch']);
    await run(['get', ...build.modules], { GOFLAGS: `${withoutMod()} -mod=mod`.trim() });
    for (const [index, name] of tool.binaries.entries()) {
      const source = build.packages[index] ?? '';
      await run(['build', '-trimpath', '-o', join(bin, name), source], {
        GOFLAGS: `${withoutMod()} -mod=mod`.trim(),
      });
    }
  });
}

function withoutMod(): string {
  const flags = (process.env.GOFLAGS ?? '').split(' ');
  return flags.filter((flag) => flag !== '' && !flag.startsWith('-mod=')).join(' ');
}

async function findGo(): Promise<string> {
  for (const candidate of ['go', '/usr/local/go/bin/go']) {
    if (basename(candidate) !== candidate && !existsSync(candidate)) continue;
    try {
      await execute(candidate, ['version']);
      return candidate;
    } catch {
      // The next one, then.
    }
  }
  throw new Error(
    'there is no go on this machine; install Go 1.25 or newer from https://go.dev/dl and run this again',
  );
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join('; ');
}
