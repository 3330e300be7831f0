// One file on its way to the kiosk, and who carries it.

import { signal } from "@preact/signals";

import type { Problem } from "../api/problem";

export type TransferState =
  | "waiting" // for its turn
  | "sending"
  | "interrupted" // the line is down; goes on by itself
  | "paused"
  | "failed"
  | "missing" // begun before the page was loaded anew: the file has to be chosen again
  | "arrived";

/** A file and how far it has come. */
export class Transfer {
  readonly state = signal<TransferState>("waiting");
  readonly sent_bytes = signal(0);
  /** Why it stands still, in a sentence. */
  readonly trouble = signal("");
  /** Id of the upload once it has arrived; "" before. */
  readonly upload = signal("");

  constructor(
    /** Tells files apart, also after the page was loaded anew. */
    readonly key: string,
    readonly name: string,
    readonly size_bytes: number,
    public file: File | null,
  ) {
    if (!file) this.state.value = "missing";
  }

  get isOpen(): boolean {
    return ["waiting", "sending", "interrupted"].includes(this.state.value);
  }
}

/** What the carrier tells while a file is under way. */
export interface Told {
  onProgress: (sent_bytes: number) => void;
  onArrived: (upload: string) => void;
  onFailed: (problem: Problem) => void;
}

export interface Carrier {
  /** Send a file, from where it was left. Calling the answer stops; what has arrived is kept. */
  send: (transfer: Transfer, told: Told) => () => void;
  /** Forget a file that will not be sent to its end. */
  forget: (transfer: Transfer) => void;
}
