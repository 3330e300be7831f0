import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Job } from "../api/types";
import { JobStore } from "./store";

const job = (id: string, state = "succeeded", created = "2026-01-01T00:00:00Z"): Job => ({
  id, file_name: `${id}.tif`, state, stage: "parts", create_time: created, notes: [], parameters: {},
} as unknown as Job);

/** What the kiosk answers to each path that begins so. */
const answers = new Map<string, unknown>();
const asked: string[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  answers.clear();
  asked.length = 0;
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    const [, found] = [...answers].find(([begin]) => path.startsWith(`/api/v1${begin}`)) ?? [];
    if (found instanceof Promise) return found;
    return found === undefined ? new Promise(() => {}) : Promise.resolve(Response.json(found));
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const page = (...jobs: Job[]) => ({ jobs, next_page_token: "" });
const ids = (store: JobStore): string => store.listed.value.map(({ id }) => id).join(" ");

test("jobs are listed the newest first, and new ones are put on top", async () => {
  answers.set("/jobs", page(job("a"), job("b", "succeeded", "2026-01-02T00:00:00Z")));
  const store = new JobStore();
  await store.begin();
  store.put(job("c", "queued", "2026-01-03T00:00:00Z"));
  expect(ids(store)).toBe("c b a");
});

test("a search asks the kiosk, and an answer that was overtaken is left aside", async () => {
  const store = new JobStore();
  let answerFirst: (response: Response) => void = () => {};
  answers.set("/jobs?search=slow", new Promise<Response>((resolve) => { answerFirst = resolve; }));
  answers.set("/jobs?search=fast", page(job("fast")));
  answers.set("/jobs", page());
  await store.begin();
  store.search({ search: "slow" });
  store.search({ search: "fast" });
  await vi.advanceTimersByTimeAsync(1);
  answerFirst(Response.json(page(job("slow"))));
  await vi.advanceTimersByTimeAsync(1);
  expect(ids(store)).toBe("fast");
});

test("older ones stay when the newest are asked for again, and what was deleted elsewhere goes", async () => {
  const at = (n: number): string => new Date(Date.UTC(2026, 0, 1, n)).toISOString();
  answers.set("/jobs?page_token=2", { jobs: [job("a", "succeeded", at(1))], next_page_token: "3" });
  answers.set("/jobs", { ...page(job("c", "succeeded", at(3)), job("b", "succeeded", at(2))), next_page_token: "2" });
  const store = new JobStore();
  await store.begin();
  await store.older();
  expect(ids(store)).toBe("c b a");
  answers.set("/jobs", { ...page(job("d", "succeeded", at(4)), job("b", "succeeded", at(2))), next_page_token: "9" });
  await store.refresh();
  expect(ids(store)).toBe("d b a");
  await store.older();
  expect(asked.at(-1)).toBe("/api/v1/jobs?page_token=3");
});

test("with a state chosen, a job that has left it leaves the list", async () => {
  answers.set("/jobs?state=running", page(job("a", "running")));
  answers.set("/jobs", page());
  const store = new JobStore();
  await store.begin();
  store.search({ state: "running" });
  await vi.advanceTimersByTimeAsync(1);
  expect(ids(store)).toBe("a");
  store.put(job("a", "succeeded"));
  expect(ids(store)).toBe("");
});

test("an end is not undone by an answer from before, but by beginning anew", () => {
  const store = new JobStore();
  store.put(job("a", "failed"));
  store.put(job("a", "running"));
  expect(store.jobs.value.get("a")?.state).toBe("failed");
  store.restarted(job("a", "queued"));
  expect(store.jobs.value.get("a")?.state).toBe("queued");
});

test("at most sixteen are followed, the oldest, and only one while it is looked at", async () => {
  answers.set("/jobs/j3", job("j3", "running"));
  const store = new JobStore();
  for (let n = 0; n < 20; n++) {
    store.put(job(`j${n}`, "running", new Date(Date.UTC(2026, 0, 1, n)).toISOString()));
  }
  await vi.advanceTimersByTimeAsync(200);
  const watched = asked.filter((path) => path.includes("/events"));
  expect(watched.length).toBe(1);
  expect(watched[0]?.match(/job=/g)?.length).toBe(16);
  expect(watched[0]).toMatch(/job=j0&.*job=j15$/);
  void store.look("j3");
  await vi.advanceTimersByTimeAsync(200);
  expect(asked.at(-1)).toBe("/api/v1/jobs/j3/events");
});
