import { expect, test } from "vitest";

import type { Job } from "../api/types";
import { clicked, NEWEST_FIRST, sortJobs } from "./sort";

const job = (id: string, more: Partial<Job>): Job => ({
  id, file_name: id, model: "nuclei", model_version: "1", state: "succeeded", stage: "finished",
  parts_done: 0, parts_total: 0, create_time: "2026-01-01T00:00:00Z", ...more,
} as Job);
const ids = (jobs: Job[]): string => jobs.map(({ id }) => id).join(" ");

test("files in natural order, equal ones the newest first", () => {
  const jobs = [
    job("a", { file_name: "frame10.tif" }),
    job("b", { file_name: "frame2.tif", create_time: "2026-01-01T00:00:00Z" }),
    job("c", { file_name: "frame2.tif", create_time: "2026-01-02T00:00:00Z" }),
  ];
  expect(ids(sortJobs(jobs, { column: "file", isDescending: false }))).toBe("c b a");
  expect(ids(sortJobs(jobs, { column: "file", isDescending: true }))).toBe("a c b");
  expect(ids(jobs)).toBe("a b c"); // the list itself stays
});

test("what is being worked on comes first among the states", () => {
  const jobs = [job("a", {}), job("b", { state: "queued" }), job("c", { state: "running", stage: "parts" })];
  expect(ids(sortJobs(jobs, { column: "state", isDescending: false }))).toBe("c b a");
});

test("progress counts parts, and what is done is all of it", () => {
  const running = (parts_done: number): Partial<Job> =>
    ({ state: "running", stage: "parts", parts_done, parts_total: 10 });
  const jobs = [job("a", running(7)), job("b", {}), job("c", running(2)), job("d", { state: "queued" })];
  expect(ids(sortJobs(jobs, { column: "progress", isDescending: true }))).toBe("b a c d");
});

test("a click turns the order round, another column has its natural one", () => {
  expect(clicked(NEWEST_FIRST, "created")).toEqual({ column: "created", isDescending: false });
  expect(clicked(NEWEST_FIRST, "file")).toEqual({ column: "file", isDescending: false });
});
