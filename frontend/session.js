// Who is signed in, and the form that asks for it.

import { SIGNED_OUT, signIn, signOut, whoIsHere } from "./api.js";
import { $, say, setText } from "./dom.js";

export class Session {
  constructor() {
    this.owner = "";
    this.scopes = [];
    this.isGuest = true; // until we know; a guest may only see what a share link shows
    window.addEventListener(SIGNED_OUT, () => this.ask());
    $("sign-in").addEventListener("cancel", (event) => event.preventDefault());
    $("sign-in-form").addEventListener("submit", (event) => this.#signIn(event));
    $("sign-out").addEventListener("click", () => this.#signOut());
  }

  /** Find out who is here. Throws an ApiError when the kiosk cannot say. */
  async load() {
    const who = await whoIsHere();
    this.isGuest = who === null;
    Object.assign(this, who);
    setText($("who-name"), this.owner);
    $("who").hidden = !this.owner;
  }

  /** Whether the one who is here may change a job. */
  mayChange(job) {
    if (this.scopes.includes("admin")) return true;
    return this.scopes.includes("write") && job.owner === this.owner;
  }

  ask() {
    if ($("sign-in").open) return;
    $("sign-in").showModal();
    $("key").focus();
  }

  async #signIn(event) {
    event.preventDefault();
    say($("sign-in-error"), "");
    try {
      await signIn($("key").value.trim());
    } catch (error) {
      say($("sign-in-error"), error.message);
      $("key").select();
      return;
    }
    $("key").value = "";
    location.reload();
  }

  async #signOut() {
    await signOut();
    location.reload();
  }
}
