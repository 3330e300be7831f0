// The ways of tracks, fetched for some frames at a time.

import { getJson } from "../api/client";
import { sentenceOf } from "../api/problem";
import { below } from "./addresses";
import type { Point } from "./camera";
import type { TrackPoints } from "./shapes";

/** Frames of one request. */
export const WINDOW_FRAMES = 25;
const MOST_WINDOWS = 40;

/** What a track did in the last frames; the points in image pixels, the oldest first. */
export interface Tail {
  readonly track: number;
  readonly frames: number[];
  readonly points: Point[];
}

/** Numbers of the windows that frames from `t - length` to `t` lie in. */
export function windowsFor(t: number, length: number): number[] {
  const first = Math.floor(Math.max(0, t - length) / WINDOW_FRAMES);
  const last = Math.floor(t / WINDOW_FRAMES);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Tails of at least two points out of windows in order of time. */
export function tailsOf(windows: TrackPoints[], t: number, length: number): Tail[] {
  const tails = new Map<number, Tail>();
  for (const { track, t: frames, y_px, x_px } of windows) {
    for (let i = 0; i < track.length; i++) {
      const frame = frames[i]!;
      if (frame > t || frame < t - length) continue;
      const number = track[i]!;
      let tail = tails.get(number);
      if (!tail) tails.set(number, (tail = { track: number, frames: [], points: [] }));
      tail.frames.push(frame);
      // Centroids count from the centre of the first pixel.
      tail.points.push({ x: x_px[i]! + 0.5, y: y_px[i]! + 0.5 });
    }
  }
  return [...tails.values()].filter(({ points }) => points.length > 1);
}

export class TrackStore {
  readonly #windows = new Map<number, TrackPoints | "asked">();
  readonly #stopper = new AbortController();
  #last: { key: string; tails: Tail[] } = { key: "", tails: [] };
  problem = "";

  constructor(
    readonly base: string,
    readonly frames: number,
    readonly onChange: () => void,
  ) {}

  /** Of the frames up to t, as far as they are here; the rest is asked for. */
  tails(t: number, length: number): Tail[] {
    if (length < 1) return [];
    const numbers = windowsFor(t, length);
    const here = numbers.flatMap((number) => this.#window(number) ?? []);
    const key = `${t}/${length}/${here.length}/${numbers[0]}`;
    if (key !== this.#last.key) this.#last = { key, tails: tailsOf(here, t, length) };
    return this.#last.tails;
  }

  #window(number: number): TrackPoints | undefined {
    const known = this.#windows.get(number);
    if (known === undefined) void this.#fetch(number);
    return known === "asked" ? undefined : known;
  }

  async #fetch(number: number): Promise<void> {
    this.#windows.set(number, "asked");
    const first = number * WINDOW_FRAMES;
    const last = Math.min(this.frames, first + WINDOW_FRAMES) - 1;
    try {
      const path = below(this.base, `/tracks?first_t=${first}&last_t=${last}`);
      const points = await getJson<TrackPoints>(path, this.#stopper.signal);
      this.#windows.set(number, points);
      this.#forget(number);
      this.onChange();
    } catch (error) {
      if (!this.#stopper.signal.aborted) this.problem = sentenceOf(error);
    }
  }

  /** Those farthest in time go first. */
  #forget(near: number): void {
    const far = [...this.#windows.keys()].sort((a, b) => Math.abs(b - near) - Math.abs(a - near));
    for (const number of far.slice(0, Math.max(0, far.length - MOST_WINDOWS))) this.#windows.delete(number);
  }

  close(): void {
    this.#stopper.abort();
  }
}
