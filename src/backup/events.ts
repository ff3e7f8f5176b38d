import type { Manifest } from '../model/generated/manifest.ts';

type Verdict = Manifest['hashKV']['verdict'];

/** What a backup, verification or restore tells while it runs. Whoever starts one decides how it is shown. */
export type ProgressEvent =
  | { readonly type: 'member'; readonly endpoint: string; readonly memberId: string; readonly why: string }
  | { readonly type: 'snapshot'; readonly bytes: number; readonly total: number | null }
  | { readonly type: 'proved'; readonly revision: number; readonly keys: number; readonly verdict: Verdict }
  | { readonly type: 'uploaded'; readonly destination: string; readonly bytes: number }
  | { readonly type: 'stored'; readonly destination: string; readonly bytes: number }
  | { readonly type: 'published'; readonly destination: string }
  | {
      readonly type: 'read';
      readonly destination: string;
      readonly bytes: number;
      readonly total: number | null;
    }
  /** Stored bytes that a restore before had left were used. */
  | { readonly type: 'resumed'; readonly destination: string; readonly bytes: number; readonly path: string }
  | { readonly type: 'warning'; readonly message: string };

export type OnProgress = (event: ProgressEvent) => void;
