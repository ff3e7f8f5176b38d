import { Argument, type Command } from 'commander';
import { withExamples } from './help.ts';
import type { Io } from './io.ts';

/** `completion SHELL`: what a shell needs to complete command lines. */
export function addCompletion(program: Command, io: Io): Command {
  const command = program
    .command('completion')
    .addArgument(new Argument('<shell>', 'which one').choices(['bash', 'zsh', 'fish']))
    .argument(
      '[word...]',
      'after --: the words so far, the last of them unfinished; prints what it may become',
    )
    .summary('complete command lines in bash, zsh and fish')
    .description(
      'Prints the program that completes command lines in a shell: commands, options and their values, and the names of seeds, clusters, destinations, policies and credentials where --path is given or the current folder is a configuration. Nothing is contacted.',
    );
  withExamples(
    command,
    'source <(granary completion bash)',
    'granary completion zsh > "$HOME/.zfunc/_granary"',
    'granary completion fish > ~/.config/fish/completions/granary.fish',
  );
  return command.action((shell: 'bash' | 'zsh' | 'fish', words: readonly string[]) =>
    words.length === 0 ? printScript(io, shell) : printCandidates(io, program, words),
  );
}

async function printScript(io: Io, shell: 'bash' | 'zsh' | 'fish'): Promise<void> {
  const { completionScripts } = await import('./completion-scripts.ts');
  io.out(completionScripts[shell]);
}

async function printCandidates(io: Io, program: Command, words: readonly string[]): Promise<void> {
  const { candidatesFor } = await import('./candidates.ts');
  const { values, also } = await candidatesFor(program, words);
  const lines = values.map(({ value, about }) => (about === '' ? value : `${value}\t${about}`));
  io.out([...lines, `:${also}`].join('\n'));
}
