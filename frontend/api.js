// The HTTP API as functions. Errors are ApiErrors with the server's own sentence.

const BASE = "/api/v1";

export class ApiError extends Error {
  /** status is 0 when the server could not be reached. */
  constructor(message, { status = 0, reason = "", retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed a little later. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const UNREACHABLE = "The kiosk does not answer. Is it still running?";

/** Told to the window when the kiosk asks who is here. */
export const SIGNED_OUT = "kiosk-signed-out";

/** An ApiError from what a server answered; `body` is its text. */
export function errorFrom(status, body, retryAfter) {
  if (status === 401) window.dispatchEvent(new Event(SIGNED_OUT));
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    // A proxy in between answers with a page of its own.
  }
  return new ApiError(problem.detail || `The kiosk answered with status ${status}.`, {
    status, reason: problem.reason || "", retryAfter: Number(retryAfter) || 0,
  });
}

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(UNREACHABLE);
  }
  if (!response.ok) {
    throw errorFrom(response.status, await response.text(), response.headers.get("Retry-After"));
  }
  return response;
}

export function unreachable() {
  return new ApiError(UNREACHABLE);
}

async function json(path, options) {
  return (await request(BASE + path, options)).json();
}

/** {owner, scopes} of the one who is signed in; null when nobody is and somebody has to be. */
export async function whoIsHere() {
  const response = await fetch(`${BASE}/session`).catch(() => { throw unreachable(); });
  if (response.status === 401) return null;
  if (!response.ok) throw errorFrom(response.status, await response.text());
  return response.json();
}

export const signIn = (key) => posted("/session", { key });

export const signOut = () => request(`${BASE}/session`, { method: "DELETE" });

const jobPath = (id) => `/jobs/${encodeURIComponent(id)}`;

export const uploadsPath = `${BASE}/uploads`;
export const listModels = async () => (await json("/models")).models;
export const listFormats = async () => (await json("/formats")).formats;
export const listImages = async (upload) =>
  (await json(`/uploads/${encodeURIComponent(upload)}/images?list_only=1`)).images;
export const health = () => json("/health");
export const getJob = (id) => json(jobPath(id));
export const cancelJob = (id) => json(`${jobPath(id)}/cancel`, { method: "POST" });
export const deleteJob = (id) => request(BASE + jobPath(id), { method: "DELETE" });
export const listResults = async (id) => (await json(`${jobPath(id)}/results`)).results;
export const resultUrl = (id, name) =>
  `${BASE}${jobPath(id)}/results/${encodeURIComponent(name)}`;
export const zipUrl = (id) => `${BASE}${jobPath(id)}/results.zip`;
export const listPlanes = (id, signal) => json(`${jobPath(id)}/planes`, { signal });

export function listJobs(pageToken = "") {
  return json(`/jobs?page_token=${encodeURIComponent(pageToken)}`);
}

const posted = (path, body) => json(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const submitJob = (job) => posted("/jobs", job);
export const extendJob = (id, time) => posted(`${jobPath(id)}/extend`, { expire_time: time });
export const createShare = (id, time) => posted(`${jobPath(id)}/shares`, { expire_time: time });
export const listShares = async (id) => (await json(`${jobPath(id)}/shares`)).shares;
export const deleteShare = (id, share) =>
  request(`${BASE}${jobPath(id)}/shares/${encodeURIComponent(share)}`, { method: "DELETE" });

/** The picture of a plane, ready to draw. */
export async function getPicture(id, index, signal) {
  const response = await request(`${BASE}${jobPath(id)}/planes/${index}/picture.png`, { signal });
  return createImageBitmap(await response.blob());
}

/** {width, height, ids}: one number per pixel of the picture, 0 for background. */
export async function getLabels(id, index, signal) {
  const response = await request(`${BASE}${jobPath(id)}/planes/${index}/labels`, { signal });
  return {
    width: Number(response.headers.get("X-Width")),
    height: Number(response.headers.get("X-Height")),
    ids: new Uint32Array(await response.arrayBuffer()),
  };
}

/** Progress of up to 16 jobs on one connection; the browser connects again after a break. */
export function watchJobs(ids, onJob) {
  const query = ids.map((id) => `job=${encodeURIComponent(id)}`).join("&");
  // One alone by its own address: a share link opens no other.
  const path = ids.length === 1 ? `${jobPath(ids[0])}/events` : `/events?${query}`;
  const source = new EventSource(BASE + path);
  source.onmessage = (event) => onJob(JSON.parse(event.data));
  return source;
}

/** An id for a request, so that sending it twice makes one job. */
export function newRequestId() {
  // Not crypto.randomUUID: that is missing on pages served without TLS on a lab's network.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
