// Who else may see a job, and for how long it is kept.

import { createShare, deleteShare, extendJob, listShares } from "./api.js";
import { $, el, moment, say } from "./dom.js";

const DAY_MS = 24 * 3600 * 1000;
const LINK_DAYS = 7;
const KEEP_DAYS = 30;

const inDays = (days) => new Date(Date.now() + days * DAY_MS).toISOString();

export class Sharing {
  constructor(store) {
    this.store = store;
    this.job = null;
    $("share").addEventListener("click", () => this.#try(() => this.#create()));
    $("keep").addEventListener("click", () => this.#try(() => this.#keep()));
  }

  /** Show the links to a job; null for a guest, who may not have any. */
  async open(job) {
    const isSame = this.job?.id === job?.id;
    this.job = job;
    $("sharing-card").hidden = !job;
    if (!job || isSame) return;
    $("new-link").hidden = true;
    $("links").replaceChildren();
    await this.#try(() => this.#list());
  }

  async #list() {
    const { id } = this.job;
    const links = await listShares(id);
    if (this.job?.id !== id) return;
    $("links").replaceChildren(...links.map((link) => el("li", {},
      el("span", { class: "hint", text: `A link until ${moment(link.expire_time)}` }),
      el("button", { type: "button", class: "quiet", text: "Withdraw",
        onclick: () => this.#try(() => this.#withdraw(link)) }))));
  }

  async #create() {
    const link = await createShare(this.job.id, inDays(LINK_DAYS));
    // As the kiosk says it, or from where this page is.
    $("link").value = new URL(link.url, location.href).href;
    $("new-link").hidden = false;
    $("link").select();
    await this.#list();
  }

  async #withdraw(link) {
    await deleteShare(this.job.id, link.id);
    $("new-link").hidden = true;
    await this.#list();
  }

  async #keep() {
    this.store.put(await extendJob(this.job.id, inDays(KEEP_DAYS)));
  }

  async #try(action) {
    say($("sharing-error"), "");
    try {
      await action();
    } catch (error) {
      say($("sharing-error"), error.message);
    }
  }
}
