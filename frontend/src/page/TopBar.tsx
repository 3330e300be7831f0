// The bar at the top: the way home, how busy the kiosk is, and who is signed in.

import { useEffect, useState } from "preact/hooks";

import { health } from "../api/kiosk";
import { Problem } from "../api/problem";
import { count } from "../format/numbers";
import { jobs, session } from "./kiosk";

interface Status {
  text: string;
  state: "ready" | "busy" | "away";
}

const ASK_AFTER_MS = 300;

export function TopBar() {
  const owner = session.who.value?.owner ?? "";
  return (
    <header class="top">
      <a class="brand" href="/">
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <circle cx="16" cy="16" r="13" fill="none" stroke="currentColor" stroke-width="2.5" />
          <circle cx="19" cy="14" r="4.5" fill="currentColor" />
        </svg>
        <span>Kiosk</span>
      </a>
      <p class="tagline">Finds the cells in your images</p>
      <Busy />
      {owner && (
        <p class="who">{owner}{" "}
          <button type="button" class="quiet" onClick={() => session.signOut()}>Sign out</button>
        </p>
      )}
    </header>
  );
}

/** Asked anew whenever the number of open jobs has changed; nobody is asked in turns. */
function Busy() {
  const [status, setStatus] = useState<Status | null>(null);
  const isGuest = session.isGuest.value;
  const open = jobs.open.value.length;
  const trouble = jobs.trouble.value;
  useEffect(() => {
    if (isGuest) return;
    const timer = setTimeout(() => { void ask().then(setStatus); }, ASK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [isGuest, open, trouble]);
  return (
    <p class="server" role="status" data-state={status?.state}>{status?.text}</p>
  );
}

async function ask(): Promise<Status | null> {
  try {
    const { backlog } = await health();
    if (!backlog) return null; // nobody is signed in any more
    return backlog.jobs > 0 ? { text: count(backlog.jobs, "open job"), state: "busy" }
      : { text: "Ready", state: "ready" };
  } catch (error) {
    const isAway = !(error instanceof Problem) || error.isPassing;
    return isAway ? { text: "Not reachable", state: "away" } : null;
  }
}
