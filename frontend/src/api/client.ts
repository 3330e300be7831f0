// Requests to the HTTP API. Whatever goes wrong is a Problem.

import { isAbort, Problem } from "./problem";

export const API = "/api/v1";

type SignedOut = () => void;
let onSignedOut: SignedOut = () => {};

/** Have `listener` called whenever the kiosk asks who is here. */
export function whenSignedOut(listener: SignedOut): void {
  onSignedOut = listener;
}

export function tellSignedOut(): void {
  onSignedOut();
}

/** A successful answer; throws a Problem. Paths begin below the API's address. */
export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(API + path, options);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw Problem.unreachable();
  }
  if (response.ok) return response;
  if (response.status === 401) onSignedOut();
  const retryAfter = response.headers.get("Retry-After");
  throw Problem.from(response.status, await response.text(), retryAfter);
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return (await response.json()) as T;
}

export async function getBytes(path: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  const response = await request(path, signal ? { signal } : {});
  return response.arrayBuffer();
}

export async function postJson<T>(path: string, body?: unknown): Promise<T> {
  const options: RequestInit = { method: "POST" };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  return (await (await request(path, options)).json()) as T;
}

export async function remove(path: string, headers: Record<string, string> = {}): Promise<void> {
  await request(path, { method: "DELETE", headers });
}

/** "?a=1&b=2" of what is not empty; "" of nothing. */
export function query(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

/** An id for a request, so that sending it twice makes one job. */
export function newRequestId(): string {
  // Not crypto.randomUUID: that is missing on pages served without TLS on a lab's network.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
