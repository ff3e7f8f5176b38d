/** Plans in a file: what was looked at is what is carried out, or nothing. */
import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { schemaFaults } from '../config/schemas.ts';
import { asGranaryError, GranaryError } from '../model/errors.ts';
import type { Plan } from '../model/generated/plan.ts';
import { digestInput } from '../plan/digest.ts';
import { sha256 } from './plan.ts';

const hint = 'make it anew: `granary plan --out FILE`';

/** The plans as `-o json` prints them: one as it is, several in a list. */
export function plansDocument(plans: readonly Plan[]): unknown {
  return plans.length === 1 ? plans[0] : { items: plans };
}

/**
 * Writes plans into a file, in place of what it held; nobody ever reads half of it.
 * @throws GranaryError `target-unwritable`, `disk-full`
 */
export async function savePlans(file: string, plans: readonly Plan[]): Promise<void> {
  const unfinished = `${file}.${randomUUID()}`;
  try {
    await writeFile(unfinished, `${JSON.stringify(plansDocument(plans), null, 2)}\n`, { flag: 'wx' });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    const { code, message } = asGranaryError(error);
    if (code === 'disk-full') throw error;
    throw new GranaryError('target-unwritable', `the plan cannot be written to ${file}: ${message}`, {
      hint: 'name a file in a folder that this user may write to',
      cause: error,
    });
  }
}

/**
 * Reads plans that `savePlans` wrote, by seed.
 * @throws GranaryError `file-unreadable`, `format-too-new`; `plan-invalid` for what is no plan, or is not as it was made
 */
export async function readPlans(file: string): Promise<ReadonlyMap<string, Plan>> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'it does not exist' : asGranaryError(error).message;
    throw new GranaryError('file-unreadable', `the plan ${file} cannot be read: ${why}`, {
      hint,
      cause: error,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(file, 'it is not JSON', error);
  }
  const items: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'items') : undefined;
  const plans = new Map<string, Plan>();
  for (const item of Array.isArray(items) ? items : [value]) {
    const plan = checked(file, item);
    if (plan.seed === null) throw invalid(file, 'it is for several seeds at once, and only to be looked at');
    plans.set(plan.seed, plan);
  }
  return plans;
}

function checked(file: string, value: unknown): Plan {
  const format: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'formatVersion') : 0;
  if (typeof format === 'number' && format > 1) {
    throw new GranaryError('format-too-new', `the plan ${file} has format ${format}; this Granary knows 1`, {
      hint: 'a newer Granary wrote it: use that version or a later one',
      context: { format, known: 1 },
    });
  }
  const [fault] = schemaFaults('plan', value);
  if (fault !== undefined) throw invalid(file, fault.slice(0, 200));
  const plan = value as Plan;
  // Who approves a digest has read what it stands for.
  if (sha256(digestInput(plan)) !== plan.digest) throw invalid(file, 'it was changed after it was made');
  return plan;
}

function invalid(file: string, why: string, cause?: unknown): GranaryError {
  return new GranaryError('plan-invalid', `the plan ${file} cannot be used: ${why}`, { hint, cause });
}
