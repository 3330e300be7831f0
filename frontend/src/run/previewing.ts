// A look at a small piece before everything runs.

import { signal } from "@preact/signals";

import { JobEvents, isFinal } from "../api/events";
import { cancelJob, deleteJob, getImage, getInstances, submitJob } from "../api/jobs";
import { sentenceOf } from "../api/problem";
import type { InspectedImage, Job, JobRequest, Plane, Region } from "../api/types";
import type { ImageInfo } from "../viewer/shapes";

// One tile of a network: done in about a second.
export const PREVIEW_PX = 512;

/** The square around a place, moved inside of the image. `y` and `x` are shares, 0 to 1. */
export function regionAround(
  { size_y, size_x }: Pick<InspectedImage, "size_y" | "size_x">, y: number, x: number,
  side_px = PREVIEW_PX,
): Region {
  const begin = (share: number, size: number, side: number): number =>
    Math.max(0, Math.min(size - side, Math.round(share * size - side / 2)));
  const [height, width] = [Math.min(side_px, size_y), Math.min(side_px, size_x)];
  const min_y_px = begin(y, size_y, height);
  const min_x_px = begin(x, size_x, width);
  return { min_y_px, min_x_px, max_y_px: min_y_px + height, max_x_px: min_x_px + width };
}

export interface Found {
  job: Job;
  image: ImageInfo;
  /** Number of instances in the piece. */
  instances: number;
}

/** Runs one preview at a time; the newest request wins, and its forerunners are deleted. */
export class Previewing {
  readonly found = signal<Found | null>(null);
  readonly isBusy = signal(false);
  readonly trouble = signal("");
  #asked = 0;
  #events: JobEvents | null = null;
  #running: Job | null = null;

  async show(body: JobRequest, plane: Plane): Promise<void> {
    const asked = ++this.#asked;
    this.#dropRunning();
    this.isBusy.value = true;
    this.trouble.value = "";
    try {
      const job = await submitJob(body);
      if (asked !== this.#asked) return discard(job);
      this.#running = job;
      const ended = await this.#ended(job);
      if (asked !== this.#asked) return;
      if (ended.state !== "succeeded") throw new Error(ended.error?.message ?? "The preview was stopped.");
      const [image, table] = await Promise.all([getImage(job.id), getInstances(job.id, plane)]);
      if (asked !== this.#asked) return;
      this.#keep({ job: ended, image, instances: table.rows.length });
    } catch (error) {
      if (asked !== this.#asked) return;
      this.trouble.value = sentenceOf(error);
    }
    this.isBusy.value = false;
  }

  /** Leave nothing behind. */
  close(): void {
    this.#asked++;
    this.#dropRunning();
    if (this.found.value) discard(this.found.value.job);
    this.found.value = null;
  }

  #keep(found: Found): void {
    const before = this.found.value;
    this.found.value = found;
    this.#running = null;
    if (before) discard(before.job);
  }

  #ended(job: Job): Promise<Job> {
    return new Promise((resolve, reject) => {
      this.#events = new JobEvents([job.id], {
        onJob: (now) => { if (isFinal(now)) resolve(now); },
        onEnd: (problem) => { if (problem) reject(problem); },
      });
    });
  }

  #dropRunning(): void {
    this.#events?.stop();
    if (this.#running) discard(this.#running);
    this.#running = null;
  }
}

/** A preview is of no use any more; what is left of it expires by itself within the hour. */
function discard(job: Job): void {
  const end = isFinal(job) ? Promise.resolve() : cancelJob(job.id).then(() => {});
  void end.then(() => deleteJob(job.id)).catch(() => {});
}
