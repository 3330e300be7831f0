// Who is signed in.

import { computed, signal } from "@preact/signals";

import { whenSignedOut } from "../api/client";
import { signIn, signOut, whoIsHere } from "../api/kiosk";
import type { Job, Session } from "../api/types";

export class SessionStore {
  /** null until known, and for a guest, who may only see what a share link shows. */
  readonly who = signal<Session | null>(null);
  readonly isGuest = computed(() => this.who.value === null);
  readonly isKnown = signal(false);
  /** The kiosk asks who is here. */
  readonly isAsking = signal(false);

  constructor() {
    whenSignedOut(() => { this.isAsking.value = true; });
  }

  /** Find out who is here. Throws a Problem when the kiosk cannot say. */
  async load(): Promise<void> {
    this.who.value = await whoIsHere();
    this.isKnown.value = true;
  }

  async signIn(key: string): Promise<void> {
    this.who.value = await signIn(key);
    this.isAsking.value = false;
  }

  async signOut(): Promise<void> {
    await signOut();
    location.assign("/");
  }

  mayChange(job: Job): boolean {
    const { scopes = [], owner = "" } = this.who.value ?? {};
    return scopes.includes("admin") || (scopes.includes("write") && job.owner === owner);
  }
}
