import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Problem } from "../api/problem";
import { UploadQueue } from "./queue";
import { type Carrier, type Told, Transfer } from "./transfer";

/** Carries nothing; the test says what happens to each file. */
class FakeCarrier implements Carrier {
  under = new Map<Transfer, Told>();
  stopped: string[] = [];
  forgotten: string[] = [];
  begun: string[] = [];

  send(transfer: Transfer, told: Told): () => void {
    this.begun.push(transfer.name);
    this.under.set(transfer, told);
    return () => {
      this.stopped.push(transfer.name);
      this.under.delete(transfer);
    };
  }

  forget(transfer: Transfer): void {
    this.forgotten.push(transfer.name);
  }

  arrive(transfer: Transfer): void {
    this.under.get(transfer)?.onArrived(`id-${transfer.name}`);
  }

  fail(transfer: Transfer, problem: Problem): void {
    const told = this.under.get(transfer);
    this.under.delete(transfer);
    told?.onFailed(problem);
  }
}

const files = (number: number): Transfer[] => Array.from({ length: number }, (_, place) =>
  new Transfer(`key-${place}`, `${place}`, 100, new File(["x"], `${place}`)));
const statesOf = (transfers: Transfer[]): string[] => transfers.map((one) => one.state.value);

let carrier: FakeCarrier;
let queue: UploadQueue;

beforeEach(() => {
  vi.useFakeTimers();
  carrier = new FakeCarrier();
  queue = new UploadQueue(carrier);
});
afterEach(() => void vi.useRealTimers());

test("three at a time, in their order, and the next when one has arrived", () => {
  const all = files(200);
  queue.add(all);
  expect(carrier.begun).toEqual(["0", "1", "2"]);
  carrier.arrive(all[1]!);
  expect(carrier.begun).toEqual(["0", "1", "2", "3"]);
  expect(all[1]!.upload.value).toBe("id-1");
  expect(all[1]!.file).toBeNull();
  for (const one of all) carrier.arrive(one);
  expect(new Set(statesOf(all))).toEqual(new Set(["arrived"]));
});

test("a bad file of many does not keep the others", () => {
  const all = files(40);
  queue.add(all);
  carrier.fail(all[0]!, new Problem("Too large.", 413));
  for (const one of all) carrier.arrive(one);
  expect(statesOf(all).filter((state) => state === "arrived").length).toBe(39);
  expect([all[0]!.state.value, all[0]!.trouble.value]).toEqual(["failed", "Too large."]);
  queue.resume(all[0]!);
  carrier.arrive(all[0]!);
  expect([all[0]!.state.value, all[0]!.trouble.value]).toEqual(["arrived", ""]);
});

test("a pause stops one and lets the next begin; going on takes its turn", () => {
  const all = files(4);
  queue.add(all);
  queue.pause(all[0]!);
  expect(carrier.stopped).toEqual(["0"]);
  expect(statesOf(all)).toEqual(["paused", "sending", "sending", "sending"]);
  queue.resume(all[0]!);
  expect(all[0]!.state.value).toBe("waiting");
  carrier.arrive(all[3]!);
  expect(all[0]!.state.value).toBe("sending");
});

test("pausing all keeps what has arrived, and all go on", () => {
  const all = files(5);
  queue.add(all);
  carrier.arrive(all[0]!);
  queue.pauseAll();
  expect(statesOf(all)).toEqual(["arrived", "paused", "paused", "paused", "paused"]);
  expect(carrier.under.size).toBe(1); // only what had arrived was not stopped
  queue.resumeAll();
  expect(statesOf(all)).toEqual(["arrived", "sending", "sending", "sending", "waiting"]);
});

test("without a connection everybody waits, and goes on by itself when it is back", () => {
  const all = files(5);
  queue.add(all);
  for (const one of all.slice(0, 3)) carrier.fail(one, Problem.unreachable());
  expect(statesOf(all)).toEqual(["interrupted", "interrupted", "interrupted", "waiting", "waiting"]);
  expect(carrier.begun.length).toBe(3);
  globalThis.dispatchEvent(new Event("online"));
  expect(statesOf(all)).toEqual(["sending", "sending", "sending", "waiting", "waiting"]);
});

test("attempts become rarer while the line is down, and none is the last", () => {
  const all = files(1);
  queue.add(all);
  for (let attempt = 0; attempt < 20; attempt++) {
    carrier.fail(all[0]!, Problem.unreachable());
    vi.advanceTimersByTime(30_000);
  }
  expect(carrier.begun.length).toBe(21);
  carrier.fail(all[0]!, Problem.unreachable());
  vi.advanceTimersByTime(29_000);
  expect(carrier.begun.length).toBe(21);
});

test("a full kiosk is asked again when it says so", () => {
  const all = files(1);
  queue.add(all);
  carrier.fail(all[0]!, new Problem("Try later.", 503, "", "", 20));
  vi.advanceTimersByTime(19_000);
  expect(all[0]!.state.value).toBe("interrupted");
  vi.advanceTimersByTime(1000);
  expect(all[0]!.state.value).toBe("sending");
});

test("what is removed is stopped and forgotten; what has arrived stays on the kiosk", () => {
  const all = files(4);
  queue.add(all);
  carrier.arrive(all[1]!);
  queue.remove(all[0]!);
  queue.remove(all[1]!);
  expect(carrier.forgotten).toEqual(["0"]);
  expect(queue.transfers.value.length).toBe(2);
});

test("a file of before a reload waits until it is chosen again", () => {
  const lost = new Transfer("key", "a.tif", 100, null);
  queue.add([lost]);
  expect([lost.state.value, carrier.begun.length]).toEqual(["missing", 0]);
  queue.found(lost, new File(["x"], "a.tif"));
  expect(lost.state.value).toBe("sending");
});
