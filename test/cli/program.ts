/** The program as it is built for a command line, with actions that do nothing: to try out what parses. */
import { allCommands, silentIo } from '../../build/program.ts';
import { buildProgram } from '../../src/cli/program.ts';

/** Parses the words after `granary`, and runs nothing. @returns what is wrong with them; null where nothing is */
export async function parseFault(words: readonly string[]): Promise<string | null> {
  // A command keeps what it has parsed: each line gets a program of its own.
  const program = buildProgram(silentIo());
  for (const { command } of allCommands(program)) if (command.commands.length === 0) command.action(() => {});
  try {
    await program.parseAsync([...words], { from: 'user' });
    return null;
  } catch (error) {
    const { message, exitCode } = error as { message: string; exitCode?: number };
    return exitCode === 0 ? null : message;
  }
}

/** The words of each `granary …` in a line of a shell: quotes, pipes, redirections, `$( … )` and `<( … )` aside. */
export function granaryWords(line: string): string[][] {
  return line
    .split(/(?:\|\||&&|[|;]|[$<]\()(?=(?:[^'"]*['"][^'"]*['"])*[^'"]*$)/)
    .map((part) => part.trim().replace(/^(?:\$ )?(?:sudo (?:-u \w+ )?)?(?:[A-Z_]+=\S+ )*/, ''))
    .filter((part) => /^granary(\s|$)/.test(part))
    .map((part) => {
      const bare = part
        .replace(/\s+#.*$/, '')
        .replace(/\s\d?(?:>>?|<)\s*\S+/g, '')
        .replace(/\)+$/, '');
      return [...bare.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)]
        .slice(1)
        .map(([word]) => word.replace(/['"]/g, ''));
    });
}
