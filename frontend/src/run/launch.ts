// Files become jobs: one for each chosen image, none of them twice.

import { submitJob } from "../api/jobs";
import { Problem, sentenceOf } from "../api/problem";
import type { Job, JobRequest } from "../api/types";
import { imageKey } from "../files/contents";
import type { FileItem, Refusal } from "../files/item";
import { placeOf } from "../files/words";
import { jobRequest } from "./request";
import type { Choice } from "./settings";

// Requests under way: the kiosk looks into each image before it takes the job.
const AT_A_TIME = 3;

// What to do about a refusal, by its reason.
const HINTS: Record<string, string> = {
  CHANNEL_NEEDED: "Choose the channel beside the file, then run again.",
  CHANNEL_NOT_FOUND: "Choose another channel beside the file, then run again.",
  NOT_A_MOVIE: "Switch off “Follow cells through time”, or put the axes right beside the file.",
  NOT_A_STACK: "Switch off “Join z-planes to 3-D”, or put the axes right beside the file.",
  AXES_DO_NOT_FIT: "Put the axes right beside the file.",
  BAD_AXES: "Put the axes right beside the file.",
};

export interface Launched {
  /** A job was made. */
  onJob: (job: Job) => void;
  /** All images of a file are jobs. */
  onDone: (item: FileItem) => void;
}

type Submit = (body: JobRequest) => Promise<Job>;

/** Start all these files; answers with the number of jobs. */
export async function launch(
  items: readonly FileItem[], choice: Choice, told: Launched, submit: Submit = submitJob,
): Promise<number> {
  const waiting = items.filter((item) => item.isReady.value && !item.isStarting.value);
  for (const item of waiting) item.isStarting.value = true;
  let made = 0;
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item; item = waiting.shift()) {
      made += await start(item, choice, told, submit);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return made;
}

async function start(
  item: FileItem, choice: Choice, told: Launched, submit: Submit,
): Promise<number> {
  const images = item.contents.chosen.value.filter((image) => !item.taken.has(imageKey(image)));
  const refusals: Refusal[] = [];
  let made = 0;
  item.refusals.value = [];
  for (const image of images) {
    const key = imageKey(image);
    try {
      const body = jobRequest(item, image, choice);
      const job = await submit({ ...body, request_id: item.requestIdOf(body) });
      item.taken.add(key);
      made++;
      told.onJob(job);
    } catch (error) {
      const place = images.length > 1 ? placeOf(image) : "";
      refusals.push({ place, sentence: withHint(error) });
      // Nobody answers, or the file is gone: the next image would fare no better.
      if (!(error instanceof Problem) || error.isPassing || error.status === 404) break;
    }
  }
  item.refusals.value = refusals;
  item.isStarting.value = false;
  if (refusals.length === 0) told.onDone(item);
  return made;
}

function withHint(error: unknown): string {
  const hint = error instanceof Problem ? HINTS[error.reason] : "";
  return hint ? `${sentenceOf(error)} ${hint}` : sentenceOf(error);
}
