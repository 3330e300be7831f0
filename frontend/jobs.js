// The list of jobs.

import { cancelJob, deleteJob, zipUrl } from "./api.js";
import { announce, confirmed, duration, el, moment, say, setText } from "./dom.js";
import { createdMs, isFinal } from "./store.js";

const STAGES = {
  waiting: "Waiting",
  planning: "Reading the image",
  parts: "Segmenting",
  joining: "Writing the results",
};
const STATES = { succeeded: "Done", failed: "Failed", cancelled: "Cancelled" };

export const stateText = (job) => STATES[job.state] || STAGES[job.stage] || job.state;

/** "3 of 24" while the planes go by. */
export function progressText(job) {
  const isCounting = job.stage === "parts" && job.parts_total > 1;
  return isCounting ? `${job.parts_done} of ${job.parts_total}` : "";
}

/** Sets a progress element to where the job stands; it moves by itself while nobody knows. */
export function setProgress(bar, job) {
  bar.hidden = isFinal(job);
  if (job.state === "queued") bar.value = 0;
  else if (job.parts_total === 0 || job.parts_total === 1) bar.removeAttribute("value");
  else bar.value = job.parts_done / job.parts_total;
}

export function tookText(job) {
  if (!job.start_time || !job.end_time) return "";
  return duration((new Date(job.end_time) - new Date(job.start_time)) / 1000);
}

export async function cancelled(store, job) {
  store.put(await cancelJob(job.id));
}

/** Deletes after asking; true when it is gone. */
export async function deleted(store, job) {
  const title = `Delete ${job.file_name}?`;
  const text = job.state === "succeeded"
    ? "The job and its results go for good. What you have downloaded stays."
    : "The job goes for good.";
  if (!(await confirmed(title, text, "Delete"))) return false;
  try {
    await deleteJob(job.id);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  store.remove(job.id);
  return true;
}

/** A line of a list: a name with facts, where it stands, and what can be done. */
export class Row {
  constructor() {
    this.error = el("p", { class: "row-error", role: "alert", hidden: true });
    this.bar = el("progress", { max: 1, "aria-label": "Progress" });
    this.state = el("span", { class: "state" });
    this.detail = el("span", { class: "number" });
    this.actions = el("div", { class: "row-actions" });
    this.meta = el("p", { class: "meta" });
    this.notes = el("p", { class: "meta", hidden: true });
  }

  build(name) {
    this.name = name;
    const text = el("div", { class: "row-main" }, name, this.meta, this.error, this.notes);
    const line = el("p", { class: "row-line" }, this.state, this.detail);
    const middle = el("div", { class: "row-state" }, line, this.bar);
    this.element = el("li", { class: "row" }, text, middle, this.actions);
  }
}

class JobRow extends Row {
  constructor(store, models) {
    super();
    this.store = store;
    this.models = models;
    this.view = el("a", { class: "button", "data-route": true, text: "View" });
    this.download = el("a", { class: "button", download: true, text: "Download" });
    this.cancel = el("button", { type: "button", text: "Cancel", onclick: () => this.#act(cancelled) });
    this.remove = el("button", { type: "button", class: "quiet", text: "Delete", onclick: () => this.#act(deleted) });
    this.actions.append(this.view, this.download, this.cancel, this.remove);
    this.build(el("a", { class: "name", "data-route": true }));
  }

  show(job) {
    this.job = job;
    this.element.dataset.state = job.state;
    const address = `/jobs/${job.id}`;
    for (const link of [this.name, this.view]) link.setAttribute("href", address);
    this.download.setAttribute("href", zipUrl(job.id));
    setText(this.name, job.file_name);
    const model = this.models.worker(job);
    const took = tookText(job) && `took ${tookText(job)}`;
    const facts = [model, moment(job.create_time), took];
    setText(this.meta, facts.filter(Boolean).join(" · "));
    setText(this.state, stateText(job));
    setText(this.detail, progressText(job));
    setProgress(this.bar, job);
    say(this.notes, job.notes.join(" "));
    say(this.error, job.error?.message || "");
    const named = (button, verb) => button.setAttribute("aria-label", `${verb} ${job.file_name}`);
    named(this.view, "View");
    named(this.download, "Download the results of");
    named(this.cancel, "Cancel");
    named(this.remove, "Delete");
    this.view.hidden = job.state === "failed" || job.state === "cancelled";
    this.download.hidden = job.state !== "succeeded";
    this.cancel.hidden = isFinal(job);
    this.remove.hidden = !isFinal(job);
  }

  async #act(action) {
    try {
      await action(this.store, this.job);
    } catch (error) {
      say(this.error, error.message);
    }
  }
}

export class JobList {
  constructor(list, empty, store, models) {
    Object.assign(this, { list, empty, store, models });
    this.rows = new Map();
    store.subscribe((job, before) => this.#changed(job, before));
  }

  /** Names of models are known a little later than the jobs. */
  repaint() {
    for (const row of this.rows.values()) row.show(row.job);
  }

  #changed(job, before) {
    if (job === null) {
      this.#drop(before.id);
      return;
    }
    let row = this.rows.get(job.id);
    if (!row) {
      row = new JobRow(this.store, this.models);
      this.rows.set(job.id, row);
      row.show(job);
      this.#place(row);
    } else {
      row.show(job);
    }
    if (before && !isFinal(before) && isFinal(job)) {
      announce(`${job.file_name}: ${stateText(job)}.`);
    }
    this.count();
  }

  /** Newest first. */
  #place(row) {
    const time = createdMs(row.job);
    const below = [...this.list.children].find((item) => Number(item.dataset.time) < time);
    row.element.dataset.time = time;
    this.list.insertBefore(row.element, below || null);
  }

  #drop(id) {
    const row = this.rows.get(id);
    if (!row) return;
    const next = row.element.nextElementSibling || row.element.previousElementSibling;
    const hadFocus = row.element.contains(document.activeElement) || document.activeElement === document.body;
    row.element.remove();
    this.rows.delete(id);
    if (hadFocus) next?.querySelector("a")?.focus();
    this.count();
  }

  count() {
    this.list.hidden = this.rows.size === 0;
    this.empty.hidden = this.rows.size > 0;
  }
}
