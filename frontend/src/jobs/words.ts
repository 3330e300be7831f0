// Where a job stands, in words.

import { isFinal } from "../api/events";
import type { Job, Model } from "../api/types";
import { number, whole } from "../format/numbers";
import { duration } from "../format/times";
import { plainName } from "../run/settings";

const STAGES: Record<string, string> = {
  waiting: "Waiting",
  planning: "Reading the image",
  parts: "Segmenting",
  joining: "Writing the results",
};
const STATES: Record<string, string> = {
  succeeded: "Done", failed: "Failed", cancelled: "Cancelled",
};
/** For the filter of the list. */
export const STATE_NAMES: [string, string][] = [
  ["queued", "Waiting"], ["running", "Running"], ["succeeded", "Done"], ["failed", "Failed"],
  ["cancelled", "Cancelled"],
];

export const stateText = (job: Job): string =>
  STATES[job.state] ?? STAGES[job.stage] ?? job.state;

export const endText = (job: Job): string => stateText(job).toLowerCase();

/** "3 of 24" while the parts go by. */
export function partsText(job: Job): string {
  const isCounting = job.stage === "parts" && job.parts_total > 1;
  return isCounting ? `${whole(job.parts_done)} of ${whole(job.parts_total)}` : "";
}

/** Share that is done, 0 to 1; null while nobody knows. */
export function progressOf(job: Job): number | null {
  if (isFinal(job)) return 1;
  if (job.state === "queued") return 0;
  return job.parts_total > 1 ? job.parts_done / job.parts_total : null;
}

export function tookText(job: Job): string {
  if (!job.start_time || !job.end_time) return "";
  return duration((Date.parse(job.end_time) - Date.parse(job.start_time)) / 1000);
}

/** The numbers that were set for it: "min_area_px 31". */
export function settingsText({ parameters }: Job): string {
  const given = Object.entries(parameters.postprocessing ?? {});
  return given.map(([name, value]) => `${name} ${number(value)}`).join(", ");
}

/** What does a job: its model, and whether cells are followed through time. */
export function workerText(job: Job, models: readonly Model[]): string {
  const known = models.find((model) => plainName(model) === job.model);
  const name = job.model ? `${known?.display_name || job.model} ${job.model_version}` : "labels given";
  return job.pipeline === "tracking" ? `${name}, tracked` : name;
}
