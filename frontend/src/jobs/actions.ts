// What people do with jobs: cancel, delete, begin anew, keep, download.

import { isFinal } from "../api/events";
import { cancelJob, deleteJob, extendJob, redriveJob, zipUrl } from "../api/jobs";
import { Problem } from "../api/problem";
import type { Job } from "../api/types";
import { count } from "../format/numbers";
import { inDays } from "../format/times";
import { confirmed } from "../page/confirm";
import { jobs } from "../page/kiosk";

export const KEEP_DAYS = 30;
// Browsers drop downloads that are asked for at the same moment.
const BETWEEN_DOWNLOADS_MS = 500;

export async function cancel(job: Job): Promise<void> {
  jobs.put(await cancelJob(job.id));
}

export async function redrive(job: Job): Promise<void> {
  jobs.restarted(await redriveJob(job.id));
}

export async function keep(job: Job): Promise<void> {
  jobs.put(await extendJob(job.id, inDays(KEEP_DAYS)));
}

/** Deletes after asking; true when they are gone. Throws the first Problem after trying all. */
export async function deleteJobs(chosen: readonly Job[]): Promise<boolean> {
  const [first] = chosen;
  if (!first) return false;
  const title = chosen.length === 1 ? `Delete ${first.file_name}?`
    : `Delete ${count(chosen.length, "job")}?`;
  const hasResults = chosen.some((job) => job.state === "succeeded");
  const what = chosen.length === 1 ? "The job" : "These jobs";
  const text = hasResults
    ? `${what} and the results go for good. What you have downloaded stays.`
    : `${what} ${chosen.length === 1 ? "goes" : "go"} for good.`;
  if (!(await confirmed(title, text, "Delete"))) return false;
  await each(chosen, async (job) => {
    try {
      await deleteJob(job.id);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
    }
    jobs.remove(job.id);
  });
  return true;
}

export function cancelAll(chosen: readonly Job[]): Promise<void> {
  return each(chosen.filter((job) => !isFinal(job)), cancel);
}

/** All results of each job, as one zip each. */
export async function downloadAll(chosen: readonly Job[]): Promise<void> {
  for (const job of chosen.filter(({ state }) => state === "succeeded")) {
    const link = document.createElement("a");
    link.href = zipUrl(job.id);
    link.download = "";
    link.click();
    await new Promise((resolve) => { setTimeout(resolve, BETWEEN_DOWNLOADS_MS); });
  }
}

/** One that fails does not keep the others from being done. */
async function each(chosen: readonly Job[], act: (job: Job) => Promise<void>): Promise<void> {
  let failure: unknown = null;
  for (const job of chosen) {
    try {
      await act(job);
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure) throw failure;
}
