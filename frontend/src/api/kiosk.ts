// The kiosk itself: its models and result formats, how busy it is, and who is signed in.

import { API, getJson, postJson, remove } from "./client";
import { Problem } from "./problem";
import type { Format, Health, Model, Session } from "./types";

export const listModels = async (): Promise<Model[]> =>
  (await getJson<{ models: Model[] }>("/models")).models;
export const listFormats = async (): Promise<Format[]> =>
  (await getJson<{ formats: Format[] }>("/formats")).formats;
export const health = (): Promise<Health> => getJson("/health");

/** Who is signed in; null when nobody is and somebody has to be. */
export async function whoIsHere(): Promise<Session | null> {
  let response: Response;
  try {
    response = await fetch(`${API}/session`);
  } catch {
    throw Problem.unreachable();
  }
  if (response.status === 401) return null;
  if (!response.ok) throw Problem.from(response.status, await response.text());
  return (await response.json()) as Session;
}

export const signIn = (key: string): Promise<Session> => postJson("/session", { key });
export const signOut = (): Promise<void> => remove("/session");
