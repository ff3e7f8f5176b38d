/** An error loses its class on the way from one thread to another: it goes as data. */
import { asGranaryError, type ErrorCode, type ErrorContext, GranaryError } from '../model/errors.ts';

export interface WorkerFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly context: ErrorContext;
}

/** In the thread. */
export function toWorkerFailure(thrown: unknown): WorkerFailure {
  const { code, message, hint, context } = asGranaryError(thrown);
  return { code, message, hint, context };
}

/** In the other one. */
export function fromWorkerFailure({ code, message, hint, context }: WorkerFailure): GranaryError {
  return new GranaryError(code, message, { hint, context });
}
