// The list of files that are on their way to become jobs.

import { ApiError, newRequestId, listImages, submitJob } from "./api.js";
import { announce, bytes, el, say, setText } from "./dom.js";
import { Row } from "./jobs.js";
import { uploadFile } from "./upload.js";

// Two at a time keep the line busy; more would only starve the rest of the page.
const UPLOADS_AT_A_TIME = 2;
const MOST_REFUSALS = 5; // shown of one file

// What to do about a refusal, by its reason; SETTINGS are behind "More settings".
const HINTS = {
  CHANNEL_NEEDED: "Give the channel in the form above, then try again.",
  CHANNEL_NOT_FOUND: "Give another channel in the form above, then try again.",
  NOT_A_MOVIE: "Clear “Follow cells through time” or give “Axes” under “More settings” above, then"
    + " try again.",
  NOT_A_STACK: "Clear “Join z-planes to 3-D” or give “Axes” under “More settings” above, then try"
    + " again.",
};
const SETTINGS = {
  AXES_DO_NOT_FIT: "Axes", BAD_AXES: "Axes", BAD_PIXEL_SIZE: "Pixel size",
  SERIES_NOT_FOUND: "Image in the file", FORMAT_NOT_INSTALLED: "Result files",
};

function hintFor(reason) {
  const setting = SETTINGS[reason];
  if (setting) return `Change “${setting}” under “More settings” above, then try again.`;
  return HINTS[reason] || "";
}

/** Image of a file as people name it. */
const placeOf = ({ member, series }) =>
  [member, series > 0 || !member ? `image ${series}` : ""].filter(Boolean).join(", ");

/** Sentences about a file begin with its name; others get it put before them. */
const sentenceOf = (image, { message }) =>
  (image.member && message.includes(`${image.member}'`) ? message : `${placeOf(image)}: ${message}`);

/** One file: checked, sent, submitted; then it leaves this list and is a job. */
class UploadRow extends Row {
  constructor(file, owner) {
    super();
    this.file = file;
    this.owner = owner;
    this.uploadId = "";
    this.requestId = newRequestId();
    this.pending = null; // images that are still to be handed over, once they are known
    this.again = el("button", { type: "button", text: "Try again", onclick: () => owner.queue(this) });
    this.stop = el("button", { type: "button", class: "quiet", text: "Cancel", onclick: () => owner.drop(this) });
    this.actions.append(this.again, this.stop);
    this.build(el("span", { class: "name", text: file.name }));
    this.wait();
  }

  wait() {
    this.stopper = new AbortController();
    this.element.dataset.state = "queued";
    this.bar.hidden = false;
    this.bar.value = 0;
    this.again.hidden = true;
    setText(this.stop, "Cancel");
    setText(this.meta, bytes(this.file.size));
    setText(this.state, "Waiting to be sent");
    setText(this.detail, "");
    say(this.error, "");
    say(this.notes, "");
  }

  /** Answers with the jobs that were made; the row is done when `pending` is empty. */
  async run({ settings, series }) {
    this.element.dataset.state = "running";
    const jobs = [];
    if (series !== this.series) this.pending = null;
    this.series = series;
    try {
      if (!this.uploadId) {
        this.uploadId = await uploadFile(this.file, {
          signal: this.stopper.signal,
          onProgress: (sent, phase) => this.#progress(sent, phase),
        });
      }
      setText(this.state, "Handing over");
      setText(this.detail, "");
      this.bar.removeAttribute("value");
      const refused = await this.#submit(settings, series, jobs);
      if (refused.length > 0) this.#refused(refused, jobs.length);
    } catch (error) {
      if (error.name !== "AbortError") this.#failed(error);
    }
    return jobs;
  }

  /** One job for each image; answers with [image, error] of those that were not taken. */
  async #submit(settings, series, jobs) {
    const request = { ...settings, upload: this.uploadId };
    const isMany = /\.(zip|ozx)$/i.test(this.file.name) || series === "all";
    if (isMany && !this.pending) this.pending = await this.#images(series);
    if (!this.pending || this.pending.length < 2) {
      const reading = { ...request.reading, ...this.pending?.[0], ...onlyNumber(series) };
      jobs.push(await submitJob({ ...request, reading, request_id: this.requestId }));
      this.pending = [];
      return [];
    }
    const refused = [];
    const count = this.pending.length;
    for (const [number, image] of [...this.pending.entries()]) {
      this.stopper.signal.throwIfAborted();
      setText(this.detail, `${number + 1} of ${count}`);
      const reading = { ...request.reading, ...image };
      try {
        jobs.push(await submitJob({ ...request, reading, request_id: `${this.requestId}-${number}` }));
        this.pending = this.pending.filter((item) => item !== image);
      } catch (error) {
        if (!(error instanceof ApiError) || error.isPassing || error.status === 404) throw error;
        refused.push([image, error]);
      }
    }
    return refused;
  }

  /** The images of the upload, as {member, series}. */
  async #images(series) {
    const listed = await listImages(this.uploadId);
    const images = listed.map(({ reading }) => ({ member: reading.member, series: reading.series }));
    const number = onlyNumber(series).series;
    return number === undefined ? images : images.filter((image) => image.series === number);
  }

  #progress(sent, phase) {
    const size = this.file.size;
    if (phase === "checking") {
      setText(this.state, "Checking the file");
      this.bar.removeAttribute("value");
    } else if (phase === "waiting") {
      setText(this.state, "Connection lost, trying again");
    } else {
      setText(this.state, "Sending");
      setText(this.detail, `${Math.floor((100 * sent) / size)} %`);
      this.bar.value = sent / size;
    }
  }

  /** Some images of the file were not taken; the others are jobs. */
  #refused(refused, taken) {
    const [[, first]] = refused;
    this.#ended(`${taken} taken, ${refused.length} not`, first);
    const lines = refused.slice(0, MOST_REFUSALS).map(([image, error]) =>
      el("span", { class: "refusal", text: sentenceOf(image, error) }));
    const rest = refused.length - lines.length;
    if (rest > 0) lines.push(el("span", { class: "refusal", text: `and ${rest} more.` }));
    this.error.replaceChildren(...lines);
  }

  #failed(error) {
    this.#ended(this.uploadId ? "Not accepted" : "Not sent", error);
    if (error.status === 404 && error.reason === "NOT_FOUND") {
      this.uploadId = ""; // it is gone and must be sent again
      this.pending = null;
    }
  }

  #ended(state, error) {
    this.element.dataset.state = "failed";
    this.bar.hidden = true;
    setText(this.state, state);
    setText(this.detail, "");
    say(this.error, error.message);
    say(this.notes, hintFor(error.reason));
    // Other settings make another request.
    this.requestId = newRequestId();
    this.again.hidden = false;
    setText(this.stop, "Remove");
    announce(`${this.file.name}: ${error.message}`);
  }
}

/** {series} where one number is meant. */
function onlyNumber(series) {
  if (series === "" || series === "all") return {};
  if (/^\d+$/.test(series)) return { series: Number(series) };
  throw new ApiError("The image in the file is a number, counted from 0, or the word all.", {
    status: 400, reason: "SERIES_NOT_FOUND",
  });
}

export class UploadList {
  constructor(list, store, settings) {
    Object.assign(this, { list, store, settings });
    this.waiting = [];
    this.running = 0;
    window.addEventListener("beforeunload", (event) => {
      if (this.running > 0) event.preventDefault();
    });
  }

  add(files) {
    for (const file of files) {
      const row = new UploadRow(file, this);
      this.list.append(row.element);
      this.waiting.push({ row, settings: this.settings() });
    }
    this.#next();
  }

  /** Once more, with the settings as they are now. */
  queue(row) {
    row.wait();
    this.waiting.push({ row, settings: this.settings() });
    this.#next();
  }

  drop(row) {
    row.stopper.abort();
    this.waiting = this.waiting.filter((item) => item.row !== row);
    row.element.remove();
    this.#next();
  }

  async #next() {
    this.list.hidden = this.list.children.length === 0;
    if (this.running >= UPLOADS_AT_A_TIME || this.waiting.length === 0) return;
    const { row, settings } = this.waiting.shift();
    this.running++;
    this.#next();
    const jobs = await row.run(settings);
    this.running--;
    if (row.pending?.length === 0) row.element.remove();
    jobs.forEach((job) => this.store.put(job));
    this.#next();
  }
}
