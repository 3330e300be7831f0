// The page of one job: its image, its results, and what is known about it.

import { listPlanes, listResults, resultUrl, zipUrl } from "./api.js";
import { $, bytes, count, el, moment, say, setText } from "./dom.js";
import { cancelled, deleted, progressText, setProgress, stateText, tookText } from "./jobs.js";
import { Sharing } from "./sharing.js";
import { isFinal } from "./store.js";
import { Viewer } from "./viewer.js";

export class JobPage {
  constructor(store, models, session, goHome) {
    Object.assign(this, { store, models, session, goHome });
    this.viewer = new Viewer();
    this.sharing = new Sharing(store);
    this.id = "";
    this.bar = el("progress", { max: 1, "aria-label": "Progress" });
    this.state = el("span", { class: "state", role: "status" });
    this.detail = el("span", { class: "number" });
    $("job-progress").append(el("p", { class: "row-line" }, this.state, this.detail), this.bar);
    this.cancel = el("button", { type: "button", text: "Cancel", onclick: () => this.#act(cancelled) });
    this.remove = el("button", { type: "button", text: "Delete", onclick: () => this.#delete() });
    $("job-actions").append(this.cancel, this.remove);
    store.subscribe((job, before) => {
      if (job?.id === this.id) this.#show(job, before);
      else if (job === null && before.id === this.id) this.goHome();
    });
  }

  async open(id) {
    this.close();
    this.id = id;
    this.store.look(id);
    setText($("job-title"), "");
    setText($("job-meta"), "");
    for (const part of ["job-body", "job-progress", "job-actions", "viewer", "results-card"]) {
      $(part).hidden = true;
    }
    say($("job-error"), "");
    try {
      await this.store.load(id);
    } catch (error) {
      if (this.id !== id) return;
      setText($("job-title"), error.status === 404 ? "This job is not there" : "Not available");
      say($("job-error"), error.message);
    }
  }

  close() {
    this.id = "";
    this.seen = "";
    this.store.look("");
    this.viewer.close();
    this.sharing.open(null);
  }

  repaint() {
    const job = this.store.jobs.get(this.id);
    if (job) this.#show(job);
  }

  #show(job) {
    document.title = `${job.file_name} – Kiosk`;
    for (const part of ["job-body", "job-progress", "job-actions"]) $(part).hidden = false;
    setText($("job-title"), job.file_name);
    setText($("job-meta"), this.models.worker(job));
    $("job-progress").dataset.state = job.state;
    setText(this.state, stateText(job));
    setText(this.detail, progressText(job));
    setProgress(this.bar, job);
    say($("job-error"), job.error?.message || "");
    const mayChange = this.session.mayChange(job);
    this.cancel.hidden = isFinal(job) || !mayChange;
    this.remove.hidden = !isFinal(job) || !mayChange;
    this.sharing.open(mayChange ? job : null);
    $("notes").replaceChildren(...job.notes.map((note) => el("li", { text: note })));
    $("notes-card").hidden = job.notes.length === 0;
    this.job = job;
    this.#showFacts();
    // The picture comes at once, the outlines and results when the job is done.
    const seen = `${job.id} ${job.state === "succeeded"}`;
    if (this.seen !== seen) {
      this.seen = seen;
      this.planes = null;
      this.#showImage(job);
      if (job.state === "succeeded") this.#showResults(job);
    }
  }

  async #showImage(job) {
    let planes;
    try {
      planes = await listPlanes(job.id);
    } catch (error) {
      if (this.id === job.id && !job.error) say($("job-error"), error.message);
      return;
    }
    if (this.id !== job.id) return;
    this.planes = planes;
    this.#showFacts();
    $("viewer").hidden = false;
    await this.viewer.open(job.id, planes);
  }

  async #showResults(job) {
    let results;
    try {
      results = await listResults(job.id);
    } catch (error) {
      say($("job-error"), error.message);
      return;
    }
    if (this.id !== job.id) return;
    $("zip").setAttribute("href", zipUrl(job.id));
    $("results").replaceChildren(...results.map((result) => el("li", {},
      el("p", { class: "result-line" },
        el("a", { href: resultUrl(job.id, result.file_name), download: result.file_name,
          text: result.file_name }),
        el("span", { class: "number", text: bytes(result.size_bytes) })),
      el("p", { class: "hint", text: result.description }))));
    $("results-card").hidden = false;
  }

  #showFacts() {
    const { job, planes } = this;
    const facts = [["Submitted", moment(job.create_time)]];
    if (tookText(job)) facts.push(["Took", tookText(job)]);
    if (planes) {
      facts.push(["Image", `${planes.width_px} × ${planes.height_px} px, ${count(planes.planes.length, "plane")}`]);
      facts.push(["Channel", planes.channels.join(", ")]);
      const size = planes.pixel_size_um;
      facts.push(["Pixel size", size ? `${Number(size[1].toPrecision(4))} µm` : "not in the file"]);
    }
    const { reading = {}, region, volume, within } = job.parameters;
    if (reading.axes) facts.push(["Axes", `${reading.axes} (as given)`]);
    if (region) {
      const [width, height] = [region.max_x_px - region.min_x_px, region.max_y_px - region.min_y_px];
      facts.push(["Region", `${width} × ${height} px from x ${region.min_x_px}, y ${region.min_y_px}`]);
    }
    if (volume) facts.push(["3-D", "z-planes joined"]);
    if (within) facts.push(["Mask", "only instances inside of it"]);
    const changed = Object.entries(job.parameters.postprocessing || {});
    if (changed.length) facts.push(["Settings", changed.map(([name, value]) => `${name} ${value}`).join(", ")]);
    if (job.expire_time) facts.push(["Kept until", moment(job.expire_time)]);
    facts.push(["Job", job.id]);
    $("facts").replaceChildren(...facts.flatMap(([term, text]) => [
      el("dt", { text: term }), el("dd", { text, class: term === "Job" ? "id" : null })]));
  }

  async #act(action) {
    try {
      return await action(this.store, this.job);
    } catch (error) {
      say($("job-error"), error.message);
      return false;
    }
  }

  async #delete() {
    await this.#act(deleted); // the store then tells that it is gone, and we go home
  }
}
