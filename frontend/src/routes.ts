// Which page the address means, and going from one to another.

import { signal } from "@preact/signals";

export type Route =
  | { page: "home" }
  | { page: "job"; id: string }
  | { page: "compare"; job: string; with: string }
  | { page: "nowhere" };

export function routeOf(path: string, search = ""): Route {
  if (path === "/") return { page: "home" };
  const [, id] = /^\/jobs\/([^/]+)\/?$/.exec(path) ?? [];
  if (id) return { page: "job", id: decoded(id) };
  if (path === "/compare") {
    const asked = new URLSearchParams(search);
    return { page: "compare", job: asked.get("job") ?? "", with: asked.get("with") ?? "" };
  }
  return { page: "nowhere" };
}

export const jobPath = (id: string): string => `/jobs/${encodeURIComponent(id)}`;

/** `other` is "jobs/{id}" or "uploads/{id}". */
export const comparePath = (job: string, other: string): string =>
  `/compare?job=${encodeURIComponent(job)}&with=${encodeURIComponent(other)}`;

export const route = signal<Route>(here());

/** Counts moves within the page: each puts the focus on the new heading. */
export const moves = signal(0);

export function go(address: string): void {
  history.pushState(null, "", address);
  follow();
}

/** Follow links and the browser's buttons without loading the page anew. */
export function followAddress(): void {
  addEventListener("popstate", follow);
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest?.("a[href]");
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
    if (!(link instanceof HTMLAnchorElement) || !isPlain || event.defaultPrevented) return;
    if (link.origin !== location.origin || link.hasAttribute("download") || link.target) return;
    if (link.hash || routeOf(link.pathname).page === "nowhere") return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

function follow(): void {
  route.value = here();
  moves.value++;
  scrollTo(0, 0);
}

function here(): Route {
  return routeOf(location.pathname, location.search);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // "%" alone; the server will say that there is no such job
  }
}
