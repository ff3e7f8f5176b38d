/** Every command, in the groups and the order in which the help lists them. */
import type { Command } from 'commander';
import { addAccept } from './accept.ts';
import { addAgent } from './agent.ts';
import { addApply } from './apply.ts';
import { addBackup } from './backup.ts';
import { addCat } from './cat.ts';
import { addCheck } from './check.ts';
import { addCompletion } from './completion.ts';
import { addDiff } from './diff.ts';
import { addExplain } from './explain.ts';
import { addGet } from './get.ts';
import { addInit } from './init.ts';
import { addInspect } from './inspect.ts';
import { addInventory } from './inventory.ts';
import type { Io } from './io.ts';
import { addLs } from './ls.ts';
import { addMigrate } from './migrate.ts';
import { addPin } from './pin.ts';
import { addPlan } from './plan.ts';
import { addPrune } from './prune.ts';
import { addRestore } from './restore.ts';
import { addSecrets } from './secrets.ts';
import { addSimulate } from './simulate.ts';
import { addUndelete } from './undelete.ts';
import { addUnpin } from './unpin.ts';
import { addValidate } from './validate.ts';
import { addVerify } from './verify.ts';

/** What adds one command to the program. */
export type AddCommand = (program: Command, io: Io) => Command;

/** What is about the program itself. */
export const ownGroup = 'This program:';

/** By what people are about to do. */
export const commandGroups: readonly (readonly [heading: string, commands: readonly AddCommand[]])[] = [
  ['Configuration:', [addInit, addValidate, addExplain, addSecrets, addMigrate]],
  ['Keeping it so:', [addPlan, addApply, addAgent, addCheck, addAccept]],
  ['Backups:', [addBackup, addGet, addVerify, addRestore, addInventory]],
  ['Looking into one:', [addInspect, addLs, addCat, addDiff]],
  ['What stays and what goes:', [addSimulate, addPrune, addPin, addUnpin, addUndelete]],
  [ownGroup, [addCompletion]],
];
