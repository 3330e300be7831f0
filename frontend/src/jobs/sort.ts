// The order of the list of jobs.

import type { Job } from "../api/types";
import { progressOf } from "./words";

export type Column = "file" | "model" | "state" | "progress" | "created" | "expires";

export interface Order {
  column: Column;
  isDescending: boolean;
}

export const NEWEST_FIRST: Order = { column: "created", isDescending: true };

const STATES = ["running", "queued", "failed", "cancelled", "succeeded"];
const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const time = (text: string | undefined): number => Date.parse(text ?? "") || 0;

const COMPARE: Record<Column, (a: Job, b: Job) => number> = {
  file: (a, b) => words.compare(a.file_name, b.file_name),
  model: (a, b) => words.compare(`${a.model} ${a.model_version}`, `${b.model} ${b.model_version}`),
  state: (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state),
  progress: (a, b) => (progressOf(a) ?? 0) - (progressOf(b) ?? 0),
  created: (a, b) => time(a.create_time) - time(b.create_time),
  expires: (a, b) => time(a.expire_time) - time(b.expire_time),
};

/** Sorted anew; equal ones stay the newest first. */
export function sortJobs(jobs: readonly Job[], { column, isDescending }: Order): Job[] {
  const sign = isDescending ? -1 : 1;
  return jobs.toSorted((a, b) => sign * COMPARE[column](a, b) || COMPARE.created(b, a));
}

/** The order after a click on the head of a column: the other way round, or its natural way. */
export function clicked(order: Order, column: Column): Order {
  if (order.column === column) return { column, isDescending: !order.isDescending };
  return { column, isDescending: column === "created" || column === "progress" };
}
