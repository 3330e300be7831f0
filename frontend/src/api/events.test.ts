import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { JobEvents } from "./events";
import type { Problem } from "./problem";
import type { Job } from "./types";

const job = (id: string, state: string): string => JSON.stringify({ id, state });

/** A kiosk that answers each connection with the next of these texts, or with a status. */
function kiosk(...answers: (string | number)[]) {
  const asked: { path: string; lastId: string | null }[] = [];
  vi.stubGlobal("fetch", (path: string, options: RequestInit) => {
    asked.push({ path, lastId: new Headers(options.headers).get("Last-Event-ID") });
    const answer = answers.shift();
    if (answer === undefined) return new Promise(() => {});
    if (typeof answer === "number") {
      return answer === 0 ? Promise.reject(new TypeError("no network"))
        : Promise.resolve(new Response('{"detail": "No."}', { status: answer }));
    }
    return Promise.resolve(new Response(answer));
  });
  return asked;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await vi.advanceTimersByTimeAsync(1000);
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a broken stream is taken up again after its last event", async () => {
  const asked = kiosk(`id: 5-0\ndata: ${job("a", "running")}\n\n`, 503,
    `id: 6-0\ndata: ${job("a", "succeeded")}\n\n`);
  const states: string[] = [];
  const ends: (Problem | null)[] = [];
  new JobEvents(["a"], { onJob: ({ state }: Job) => states.push(state), onEnd: (end) => ends.push(end) });
  await settle();
  expect(states).toEqual(["running", "succeeded"]);
  expect(asked.map(({ lastId }) => lastId)).toEqual([null, "5-0", "5-0"]);
  expect(ends).toEqual([null]); // nobody asks once more after the end
});

test("one job is followed by its own address and tells its position, several by a common one", async () => {
  const asked = kiosk('event: position\ndata: {"jobs_ahead": 2}\n\n');
  const positions: number[] = [];
  const one = new JobEvents(["a b"], { onJob: () => {}, onPosition: (ahead) => positions.push(ahead) });
  const two = new JobEvents(["a", "b"], { onJob: () => {} });
  await vi.advanceTimersByTimeAsync(10);
  one.stop();
  two.stop();
  expect(asked.map(({ path }) => path)).toEqual(
    ["/api/v1/jobs/a%20b/events", "/api/v1/events?job=a&job=b"]);
  expect(positions).toEqual([2]);
});

test("jobs that have ended are not asked for again", async () => {
  const asked = kiosk(`data: ${job("a", "failed")}\n\ndata: ${job("b", "running")}\n\n`);
  const events = new JobEvents(["a", "b"], { onJob: () => {} });
  await settle();
  events.stop();
  expect(asked.at(-1)?.path).toBe("/api/v1/jobs/b/events");
});

test("a refusal ends it, being unreachable does not", async () => {
  const asked = kiosk(0, 0, 404);
  const ends: (number | undefined)[] = [];
  new JobEvents(["a"], { onJob: () => {}, onEnd: (problem) => ends.push(problem?.status) });
  await settle();
  expect(ends).toEqual([404]);
  expect(asked.length).toBe(3);
});

test("nothing is told after stop", async () => {
  kiosk(`data: ${job("a", "running")}\n\n`);
  const told = vi.fn();
  new JobEvents(["a"], { onJob: told, onEnd: told }).stop();
  await settle();
  expect(told).not.toHaveBeenCalled();
});
