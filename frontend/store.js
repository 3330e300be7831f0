// The jobs this page knows, kept up to date by one stream of events.

import { getJob, listJobs, watchJobs } from "./api.js";

const MOST_WATCHED = 16; // what the server takes on one connection
const RETRY_MS = 3000;

export const isFinal = (job) => ["succeeded", "failed", "cancelled"].includes(job.state);

export const createdMs = (job) => Date.parse(job.create_time);

export class JobStore {
  constructor(session) {
    this.session = session;
    this.jobs = new Map();
    this.nextPage = "";
    this.isLoaded = false;
    this.favourite = ""; // the job that is looked at is watched before all others
    this.listeners = [];
    this.source = null;
    this.watched = "";
    this.timer = 0;
    // A hidden page holds no connection: browsers allow six to a server, over all tabs.
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
  }

  /** listener(job, before): a job is new or has changed; job is null when it is gone. */
  subscribe(listener) {
    this.listeners.push(listener);
  }

  /** Load the newest jobs; throws an ApiError. */
  async refresh() {
    if (this.session.isGuest) return;
    const page = await listJobs();
    if (!this.isLoaded) this.nextPage = page.next_page_token;
    this.isLoaded = true;
    // Oldest first, so that each is put above the ones before it.
    for (const job of page.jobs.reverse()) this.put(job);
  }

  async older() {
    const page = await listJobs(this.nextPage);
    this.nextPage = page.next_page_token;
    for (const job of page.jobs) this.put(job);
  }

  async load(id) {
    this.put(await getJob(id));
    return this.jobs.get(id);
  }

  put(job) {
    const before = this.jobs.get(job.id);
    if (before && isFinal(before) && !isFinal(job)) return; // an answer that was overtaken
    this.jobs.set(job.id, job);
    for (const listener of this.listeners) listener(job, before);
    this.#watchSoon();
  }

  remove(id) {
    const before = this.jobs.get(id);
    this.jobs.delete(id);
    if (before) for (const listener of this.listeners) listener(null, before);
    this.#watchSoon();
  }

  look(id) {
    this.favourite = id;
    this.#watchSoon();
  }

  #watchSoon(delay_ms = 100) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#watch(), delay_ms);
  }

  /** Follow the jobs that are open, the oldest first: those are worked on. */
  #watch() {
    if (document.hidden) return;
    const open = [...this.jobs.values()].filter((job) => !isFinal(job));
    open.sort((a, b) => createdMs(a) - createdMs(b));
    open.sort((a, b) => Number(b.id === this.favourite) - Number(a.id === this.favourite));
    const ids = open.slice(0, MOST_WATCHED).map((job) => job.id);
    const key = [...ids].sort().join();
    if (key === this.watched) return;
    this.#close();
    if (ids.length === 0) return;
    this.watched = key;
    this.source = watchJobs(ids, (job) => this.put(job));
    this.source.onerror = () => this.#recover(ids);
  }

  /** The stream broke or ended: see what has become of its jobs, then go on. */
  #recover(ids) {
    this.#close();
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      for (const id of ids) {
        try {
          this.put(await getJob(id));
        } catch (error) {
          if (error.status === 404) this.remove(id);
          else break; // not reachable yet; watching again will show
        }
      }
      this.#watchSoon();
    }, RETRY_MS);
  }

  #close() {
    this.source?.close();
    this.source = null;
    this.watched = "";
  }

  async #visibilityChanged() {
    if (document.hidden) {
      this.#close();
      return;
    }
    try {
      await this.refresh();
    } catch {
      // The stream will tell when the kiosk is back.
    }
    this.#watchSoon();
  }
}
