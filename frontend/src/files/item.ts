// A file from being chosen to being a job.

import { computed, signal } from "@preact/signals";

import { newRequestId } from "../api/client";
import type { JobRequest } from "../api/types";
import type { Transfer } from "../upload/transfer";
import { Contents } from "./contents";

export interface Refusal {
  /** Image of the file, or "" for the whole. */
  place: string;
  sentence: string;
}

export class FileItem {
  readonly contents = new Contents();
  readonly isStarting = signal(false);
  /** Why the kiosk did not take it as a job. */
  readonly refusals = signal<readonly Refusal[]>([]);
  /** Why it is better not sent, and waits for a word; "" where nothing speaks against it. */
  readonly doubt = signal("");
  /** Images that are jobs already, by `imageKey`; a second try leaves them out. */
  readonly taken = new Set<string>();
  /** The one image of the upload that is meant, where it is known from a job of before. */
  only: { member: string; series: number } | null = null;
  readonly #requestIds = new Map<string, string>();

  readonly isReady = computed(() => this.transfer.state.value === "arrived"
    && this.contents.state.value === "read" && this.contents.chosen.value.length > 0);

  constructor(readonly transfer: Transfer, readonly mayTry = true) {}

  get name(): string {
    return this.transfer.name;
  }

  /** The same for the same request: sent twice, it still makes one job. */
  requestIdOf(body: JobRequest): string {
    const key = JSON.stringify(body);
    const id = this.#requestIds.get(key) ?? newRequestId();
    this.#requestIds.set(key, id);
    return id;
  }
}
