// Uploads: what the kiosk reads in them, how large they may be, and their end.

import { API, getJson, query, request } from "./client";
import type { InspectedImage, Reading } from "./types";

export const UPLOADS = `${API}/uploads`;

/** Largest upload in bytes; Infinity where the kiosk does not say. */
export async function largestUpload_bytes(): Promise<number> {
  const response = await request("/uploads", { method: "OPTIONS" });
  return Number(response.headers.get("Tus-Max-Size")) || Infinity;
}

/** The images of an upload as a job would read them; thumbnails in base64. */
export async function inspect(
  id: string, reading: Reading, thumbnail_px: number, signal?: AbortSignal,
): Promise<InspectedImage[]> {
  const asked = query({ ...reading, thumbnail_px: thumbnail_px || undefined });
  const path = `/uploads/${encodeURIComponent(id)}/images${asked}`;
  return (await getJson<{ images: InspectedImage[] }>(path, signal)).images;
}
