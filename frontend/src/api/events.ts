// Progress of jobs, told by the server: one connection that is taken up again after a break.

import { request } from "./client";
import { isAbort, Problem } from "./problem";
import { EventParser, type ServerEvent } from "./sse";
import type { Job } from "./types";

/** What the server takes on one connection. */
export const MOST_WATCHED = 16;

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

export interface Listener {
  onJob: (job: Job) => void;
  /** Jobs ahead of the one that is watched alone. */
  onPosition?: (jobsAhead: number) => void;
  /** The server has no more to tell: the jobs have ended, or are not there (a Problem). */
  onEnd?: (problem: Problem | null) => void;
}

/** Follow jobs until `stop` is called or all have ended. */
export class JobEvents {
  #ids: string[];
  #listener: Listener;
  #stopper = new AbortController();
  #lastId = "";
  #wait_ms = FIRST_WAIT_MS;
  #isEnded = false;

  constructor(ids: string[], listener: Listener) {
    this.#ids = ids;
    this.#listener = listener;
    void this.#run();
  }

  stop(): void {
    this.#stopper.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopper;
    while (!signal.aborted && !this.#isEnded) {
      try {
        await this.#follow(signal);
      } catch (error) {
        if (isAbort(error) || signal.aborted) return;
        // Streams break with errors of many kinds; only a refusal is one to give up for.
        if (error instanceof Problem && !error.isPassing) {
          this.#listener.onEnd?.(error);
          return;
        }
      }
      if (!this.#isEnded) await this.#pause(signal);
    }
    if (!signal.aborted) this.#listener.onEnd?.(null);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.#lastId) headers["Last-Event-ID"] = this.#lastId;
    const response = await request(this.#path(), { headers, signal, cache: "no-store" });
    if (!response.body) return;
    const parser = new EventParser(this.#lastId);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) break;
      for (const event of parser.push(value)) this.#take(event);
      this.#lastId = parser.lastId;
      this.#wait_ms = parser.retry_ms || FIRST_WAIT_MS;
    }
  }

  /** One alone by its own address: a share link opens no other, and only there ids are told. */
  #path(): string {
    const [first = ""] = this.#ids;
    if (this.#ids.length === 1) return `/jobs/${encodeURIComponent(first)}/events`;
    return `/events?${this.#ids.map((id) => `job=${encodeURIComponent(id)}`).join("&")}`;
  }

  #take(event: ServerEvent): void {
    if (event.kind === "position") {
      const { jobs_ahead } = JSON.parse(event.data) as { jobs_ahead: number };
      this.#listener.onPosition?.(jobs_ahead);
      return;
    }
    if (event.kind !== "message") return;
    const job = JSON.parse(event.data) as Job;
    if (isFinal(job)) this.#ids = this.#ids.filter((id) => id !== job.id);
    if (this.#ids.length === 0) this.#isEnded = true;
    this.#listener.onJob(job);
  }

  #pause(signal: AbortSignal): Promise<void> {
    const wait_ms = this.#wait_ms;
    this.#wait_ms = Math.min(LONGEST_WAIT_MS, wait_ms * 2);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait_ms);
      const now = (): void => { clearTimeout(timer); resolve(); };
      signal.addEventListener("abort", now, { once: true });
      addEventListener("online", now, { once: true });
    });
  }
}

export function isFinal(job: Job): boolean {
  return job.state === "succeeded" || job.state === "failed" || job.state === "cancelled";
}
