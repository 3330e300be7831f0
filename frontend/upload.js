// A small tus 1.0.0 client: checksum, pieces of 8 MiB, going on after a break.

import { ApiError, errorFrom, request, unreachable, uploadsPath } from "./api.js";

const PIECE_BYTES = 8 * 1024 * 1024;
// crypto.subtle wants the whole file in memory; larger files go without a checksum.
const MOST_HASHED_BYTES = 256 * 1024 * 1024;
const MOST_RETRIES = 10;
const LONGEST_WAIT_S = 30;
const TUS = { "Tus-Resumable": "1.0.0" };

/**
 * Send one file. Answers with the id of the upload.
 *
 * onProgress(bytes sent, phase): phase is "checking", "sending" or "waiting" (for the server).
 * Throws an ApiError when it is no use to go on, and an AbortError when `signal` says stop.
 */
export async function uploadFile(file, { signal, onProgress }) {
  onProgress(0, "checking");
  const sha256 = await checksum(file);
  const retries = new Retries(signal, () => onProgress(null, "waiting"));
  const url = await retries.run(() => create(file, sha256, signal));
  try {
    await send(file, url, retries, signal, onProgress);
  } catch (error) {
    if (error.name === "AbortError") remove(url);
    throw error;
  }
  return url.split("/").pop();
}

async function create(file, sha256, signal) {
  const metadata = [`filename ${base64(file.name)}`];
  if (sha256) metadata.push(`sha256 ${base64(sha256)}`);
  const response = await request(uploadsPath, {
    method: "POST",
    headers: {
      ...TUS, "Upload-Length": String(file.size), "Upload-Metadata": metadata.join(","),
    },
    signal,
  });
  return response.headers.get("Location");
}

async function send(file, url, retries, signal, onProgress) {
  let offset = 0;
  let isKnown = true;
  let isDone = file.size === 0; // an empty file is complete once created
  while (!isDone) {
    await retries.run(async () => {
      if (!isKnown) offset = await arrived(url, signal);
      isKnown = false;
      const piece = file.slice(offset, offset + PIECE_BYTES);
      const report = (sent) => onProgress(offset + sent, "sending");
      try {
        offset = await patch(url, offset, piece, signal, report);
      } catch (error) {
        // The answer to the last piece was lost on its way; the file is there.
        if (error.reason !== "UPLOAD_COMPLETE") throw error;
        offset = file.size;
      }
      isKnown = true;
      isDone = offset === file.size;
    });
    retries.restart();
    onProgress(offset, "sending");
  }
}

/** How many bytes the server has. */
async function arrived(url, signal) {
  const response = await request(url, { method: "HEAD", headers: TUS, signal });
  return Number(response.headers.get("Upload-Offset"));
}

/** One PATCH; XMLHttpRequest, because fetch does not tell how much has been sent. */
function patch(url, offset, piece, signal, onSent) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    const stop = () => call.abort();
    signal.addEventListener("abort", stop, { once: true });
    call.onloadend = () => signal.removeEventListener("abort", stop);
    call.upload.onprogress = (event) => onSent(Math.min(event.loaded, piece.size));
    call.onabort = () => reject(new DOMException("stopped", "AbortError"));
    call.onerror = () => reject(unreachable());
    call.onload = () => {
      if (call.status === 204) {
        resolve(Number(call.getResponseHeader("Upload-Offset")));
      } else {
        reject(errorFrom(call.status, call.responseText, call.getResponseHeader("Retry-After")));
      }
    };
    call.open("PATCH", url);
    for (const [name, value] of Object.entries(TUS)) call.setRequestHeader(name, value);
    call.setRequestHeader("Content-Type", "application/offset+octet-stream");
    call.setRequestHeader("Upload-Offset", String(offset));
    call.send(piece);
  });
}

function remove(url) {
  request(url, { method: "DELETE", headers: TUS }).catch(() => {});
}

/** Tries again with growing waits while errors are of the passing kind. */
class Retries {
  constructor(signal, onWait) {
    this.signal = signal;
    this.onWait = onWait;
    this.count = 0;
  }

  restart() {
    this.count = 0;
  }

  async run(step) {
    for (;;) {
      if (this.signal.aborted) throw new DOMException("stopped", "AbortError");
      try {
        return await step();
      } catch (error) {
        const isConflict = ["OFFSET_MISMATCH", "UPLOAD_IN_PROGRESS"].includes(error.reason);
        const isWorthIt = error instanceof ApiError && (error.isPassing || isConflict);
        if (!isWorthIt || ++this.count > MOST_RETRIES) throw error;
        this.onWait();
        const wait = Math.min(LONGEST_WAIT_S, 0.5 * 2 ** (this.count - 1));
        await pause(1000 * Math.max(wait, error.retryAfter), this.signal);
      }
    }
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/** SHA-256 in hex; empty for large files and on pages without TLS (no crypto.subtle there). */
async function checksum(file) {
  if (!globalThis.crypto?.subtle || file.size > MOST_HASHED_BYTES) return "";
  let data;
  try {
    data = await file.arrayBuffer();
  } catch {
    throw new ApiError("The browser cannot read this file. Was it moved or changed?", {
      status: 400,
    });
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** UTF-8 in base64; btoa alone fails for anything beyond Latin-1. */
function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** All files of a drop, those in folders included. */
export async function droppedFiles(transfer) {
  // Entries must be taken before the first await: the browser empties the list after the event.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  const files = [];
  for (const entry of entries) await collect(entry, files);
  return files.sort(byName);
}

const ZARR_MARKS = [".zattrs", ".zgroup", ".zarray", "zarr.json"];
const PATHS = new WeakMap(); // where a dropped file was, as a chosen one tells by itself

/**
 * The files of a choice that can be sent one by one, and the OME-Zarr folders, whose thousands of
 * files are one image. Hidden files (".DS_Store") are left out.
 */
export function withoutZarr(files) {
  const pathOf = (file) => PATHS.get(file) || file.webkitRelativePath || "";
  const marked = files.filter((file) => ZARR_MARKS.includes(file.name) && pathOf(file).includes("/"));
  const parents = [...new Set(marked.map((file) => pathOf(file).replace(/[^/]*$/, "")))];
  const tops = parents.filter((one) => !parents.some((other) => other !== one && one.startsWith(other)));
  const isInside = (file) => tops.some((folder) => pathOf(file).startsWith(folder));
  return {
    files: files.filter((file) => isVisible(file) && !isInside(file)),
    folders: tops.map((folder) => folder.replace(/\/$/, "").split("/").pop()),
  };
}

const isVisible = (file) => !file.name.startsWith(".") && file.name !== "Thumbs.db";

/** Natural order: frame2 before frame10. */
export const byName = (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true });

async function collect(entry, files) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    PATHS.set(file, entry.fullPath.replace(/^\//, ""));
    files.push(file);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader gives at most 100 entries at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const inner of some) await collect(inner, files);
  }
}
