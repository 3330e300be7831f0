// The jobs this page knows, kept up to date by one stream of events.

import { computed, signal } from "@preact/signals";

import { isFinal, JobEvents, MOST_WATCHED } from "../api/events";
import { getJob, listJobs } from "../api/jobs";
import { Problem, sentenceOf } from "../api/problem";
import type { Job } from "../api/types";
import { announce } from "../announce";
import { endText } from "./words";

const RETRY_MS = 3000;
const WATCH_SOON_MS = 100;

export interface Filter {
  search: string;
  state: string;
}

const createdMs = (job: Job): number => Date.parse(job.create_time ?? "") || 0;

export class JobStore {
  readonly jobs = signal<ReadonlyMap<string, Job>>(new Map());
  readonly filter = signal<Filter>({ search: "", state: "" });
  readonly isLoaded = signal(false);
  readonly trouble = signal("");
  readonly hasOlder = signal(false);
  /** Jobs ahead of the one that is looked at; null = not known. */
  readonly jobsAhead = signal<number | null>(null);
  /** Why the job that is looked at cannot be shown. */
  readonly focusProblem = signal<Problem | null>(null);
  readonly open = computed(() => [...this.jobs.value.values()].filter((job) => !isFinal(job)));
  /** Ids that the kiosk has listed for the filter. */
  readonly #listed = signal<ReadonlySet<string>>(new Set());
  readonly listed = computed(() => this.#shown());
  #nextPage = "";
  /** The filter that the list is of. */
  #loaded: Filter | null = null;
  #focus = "";
  #events: JobEvents | null = null;
  #watched = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked = 0;
  #isGuest = true;

  constructor() {
    // A hidden page holds no connection: browsers allow six to a server, over all tabs.
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
  }

  /** Begin for somebody who is signed in. */
  async begin(): Promise<void> {
    this.#isGuest = false;
    await this.refresh();
  }

  /** Load the newest jobs that the filter lets through; goes on trying while nobody answers. */
  async refresh(): Promise<void> {
    if (this.#isGuest) return;
    const asked = ++this.#asked;
    const filter = this.filter.value;
    try {
      const page = await listJobs(filter);
      if (asked !== this.#asked) return; // overtaken by another search
      const older = filter === this.#loaded ? this.#olderThan(page.jobs) : [];
      this.#loaded = filter;
      this.#listed.value = new Set([...page.jobs.map((job) => job.id), ...older]);
      this.#take(page.jobs);
      if (older.length === 0) this.#nextPage = page.next_page_token;
      this.trouble.value = "";
      this.isLoaded.value = true;
    } catch (error) {
      if (asked !== this.#asked) return;
      this.trouble.value = sentenceOf(error);
      if (error instanceof Problem && error.isPassing) setTimeout(() => void this.refresh(), RETRY_MS);
    }
    this.hasOlder.value = this.#nextPage !== "";
  }

  search(filter: Partial<Filter>): void {
    this.filter.value = { ...this.filter.value, ...filter };
    void this.refresh();
  }

  async older(): Promise<void> {
    try {
      const page = await listJobs({ ...this.filter.value, pageToken: this.#nextPage });
      this.#nextPage = page.next_page_token;
      this.#listed.value = new Set([...this.#listed.value, ...page.jobs.map((job) => job.id)]);
      this.#take(page.jobs);
    } catch (error) {
      this.trouble.value = sentenceOf(error);
    }
    this.hasOlder.value = this.#nextPage !== "";
  }

  /** A job that was made or changed by this page. */
  put(job: Job): void {
    if (!this.jobs.value.has(job.id) && !this.filter.value.search) {
      this.#listed.value = new Set([job.id, ...this.#listed.value]);
    }
    this.#take([job]);
  }

  /** A job that had ended begins anew. */
  restarted(job: Job): void {
    this.remove(job.id);
    this.put(job);
  }

  remove(id: string): void {
    const jobs = new Map(this.jobs.value);
    jobs.delete(id);
    this.jobs.value = jobs;
    this.#watchSoon();
  }

  /** Look at one job, by its own connection; "" for none. */
  async look(id: string): Promise<void> {
    this.#focus = id;
    this.jobsAhead.value = null;
    this.focusProblem.value = null;
    this.#watchSoon();
    if (!id) return;
    try {
      this.#take([await getJob(id)]);
    } catch (error) {
      if (this.#focus !== id || !(error instanceof Problem)) return;
      this.focusProblem.value = error;
      if (error.isPassing) setTimeout(() => { if (this.#focus === id) void this.look(id); }, RETRY_MS);
    }
  }

  /** What “Show older” has brought stays when the newest are asked for again. */
  #olderThan(newest: readonly Job[]): string[] {
    const oldest_ms = Math.min(...newest.map(createdMs));
    const listed = newest.length > 0 ? [...this.#listed.value] : [];
    return listed.filter((id) => {
      const job = this.jobs.value.get(id);
      return job !== undefined && createdMs(job) < oldest_ms;
    });
  }

  #shown(): Job[] {
    const { state } = this.filter.value;
    return [...this.#listed.value].flatMap((id) => this.jobs.value.get(id) ?? [])
      .filter((job) => !state || job.state === state)
      .sort((a, b) => createdMs(b) - createdMs(a));
  }

  #take(changed: readonly Job[]): void {
    const jobs = new Map(this.jobs.value);
    for (const job of changed) {
      const before = jobs.get(job.id);
      if (before && isFinal(before) && !isFinal(job)) continue; // an answer that was overtaken
      jobs.set(job.id, job);
      if (before && !isFinal(before) && isFinal(job)) announce(`${job.file_name}: ${endText(job)}.`);
    }
    this.jobs.value = jobs;
    this.#watchSoon();
  }

  #watchSoon(delay_ms = WATCH_SOON_MS): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#watch(), delay_ms);
  }

  /** Follow the job that is looked at, else those that are open, the oldest first. */
  #watch(): void {
    if (document.hidden) return;
    const ids = this.#wanted();
    const key = [...ids].sort().join();
    if (key === this.#watched) return;
    this.#close();
    if (ids.length === 0) return;
    this.#watched = key;
    this.#events = new JobEvents(ids, {
      onJob: (job) => this.#take([job]),
      onPosition: (ahead) => { this.jobsAhead.value = ahead; },
      onEnd: (problem) => void this.#ended(ids, problem),
    });
  }

  #wanted(): string[] {
    if (this.#focus) {
      const job = this.jobs.value.get(this.#focus);
      return job && !isFinal(job) ? [job.id] : [];
    }
    const open = this.open.value.toSorted((a, b) => createdMs(a) - createdMs(b));
    return open.slice(0, MOST_WATCHED).map((job) => job.id);
  }

  /** The stream has ended: see what has become of jobs that it told no end of. */
  async #ended(ids: readonly string[], problem: Problem | null): Promise<void> {
    this.#close();
    if (problem?.status === 401) return;
    for (const id of ids) {
      const known = this.jobs.value.get(id);
      if (known && isFinal(known)) continue;
      try {
        this.#take([await getJob(id)]);
      } catch (error) {
        if (error instanceof Problem && error.status === 404) this.remove(id);
      }
    }
    this.#watchSoon(problem ? RETRY_MS : WATCH_SOON_MS);
  }

  #close(): void {
    this.#events?.stop();
    this.#events = null;
    this.#watched = "";
  }

  #visibilityChanged(): void {
    if (document.hidden) {
      this.#close();
      return;
    }
    if (this.#focus) void this.look(this.#focus);
    else void this.refresh();
    this.#watchSoon();
  }
}
