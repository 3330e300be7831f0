// Checksums of pieces, so that what arrives is what was sent.

import { Problem } from "../api/problem";

/** "sha256 BASE64" as tus wants it; "" on pages without TLS, which have no crypto.subtle. */
export async function checksumOf(piece: Blob): Promise<string> {
  let data: ArrayBuffer;
  try {
    data = await piece.arrayBuffer();
  } catch {
    throw new Problem("The browser cannot read this file. Was it moved or changed?", 400);
  }
  if (!globalThis.crypto?.subtle) return "";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return `sha256 ${btoa(String.fromCharCode(...digest))}`;
}
