// Checksums of files, so that what arrives is what was sent.

import { Problem } from "../api/problem";

// crypto.subtle wants the whole file in memory; larger files go without a checksum.
const MOST_HASHED_BYTES = 256 * 1024 * 1024;

let before: Promise<unknown> = Promise.resolve();

/** SHA-256 in hex; "" for large files and on pages without TLS (no crypto.subtle there). */
export function sha256(file: Blob): Promise<string> {
  if (!globalThis.crypto?.subtle || file.size > MOST_HASHED_BYTES) return Promise.resolve("");
  // One at a time: several such files would not fit into a small laptop's memory.
  const mine = before.then(() => hashed(file));
  before = mine.catch(() => {});
  return mine;
}

async function hashed(file: Blob): Promise<string> {
  let data: ArrayBuffer;
  try {
    data = await file.arrayBuffer();
  } catch {
    throw new Problem("The browser cannot read this file. Was it moved or changed?", 400);
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
