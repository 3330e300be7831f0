import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Problem } from "../api/problem";
import { bytesOfTile, request } from "./testing";
import { TileStore } from "./tiles";

/** Requests that wait until a test answers them. */
class Server {
  readonly waiting = new Map<string, { answer(bytes: ArrayBuffer): void; fail(error: unknown): void }>();
  readonly stopped: string[] = [];

  readonly get = (path: string, signal?: AbortSignal): Promise<ArrayBuffer> =>
    new Promise((resolve, reject) => {
      this.waiting.set(path, { answer: resolve, fail: reject });
      signal?.addEventListener("abort", () => {
        this.waiting.delete(path);
        this.stopped.push(path);
        reject(new DOMException("", "AbortError"));
      });
    });

  async answer(path: string, bytes = bytesOfTile(request(path))): Promise<void> {
    this.waiting.get(path)!.answer(bytes);
    this.waiting.delete(path);
    await vi.advanceTimersByTimeAsync(0);
  }

  async fail(path: string, error: unknown): Promise<void> {
    this.waiting.get(path)!.fail(error);
    this.waiting.delete(path);
    await vi.advanceTimersByTimeAsync(0);
  }
}

describe("tile store", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("fetches a few at a time, the most wanted first", async () => {
    const server = new Server();
    const store = new TileStore(() => undefined, 1e6, server.get);
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    store.want(names.map((name) => request(name)));
    expect([...server.waiting.keys()]).toEqual(["a", "b", "c", "d", "e"]);
    await server.answer("c");
    expect([...server.waiting.keys()]).toEqual(["a", "b", "d", "e", "f"]);
    expect(store.get("c")?.values).toEqual(new Uint16Array(16).fill(7));
  });

  test("stops what nobody wants any more", async () => {
    const server = new Server();
    const store = new TileStore(() => undefined, 1e6, server.get);
    store.want([request("a"), request("b")]);
    store.want([request("b"), request("c")]);
    await vi.advanceTimersByTimeAsync(0);
    expect(server.stopped).toEqual(["a"]);
    expect([...server.waiting.keys()]).toEqual(["b", "c"]);
    expect(store.problem).toBe("");
  });

  test("keeps to its room, and never wants more than that at once", async () => {
    const server = new Server();
    const store = new TileStore(() => undefined, 100, server.get);
    store.want(["a", "b", "c", "d"].map((name) => request(name)));
    expect([...server.waiting.keys()]).toEqual(["a", "b", "c"]);
    for (const name of ["a", "b", "c"]) await server.answer(name);
    store.want([request("d")]);
    await server.answer("d");
    expect(store.bytes).toBeLessThanOrEqual(100);
    expect([store.has("a"), store.has("d")]).toEqual([false, true]);
  });

  test("asks again after a passing trouble, and says what it is", async () => {
    const server = new Server();
    const store = new TileStore(() => undefined, 1e6, server.get);
    store.want([request("a")]);
    await server.fail("a", new Problem("The store is away.", 503));
    expect([store.problem, store.isLost("a"), server.waiting.size]).toEqual(["The store is away.", false, 0]);
    await vi.advanceTimersByTimeAsync(600);
    await server.answer("a");
    expect([store.problem, store.has("a")]).toEqual(["", true]);
  });

  test("gives up what the server refuses, until somebody asks anew", async () => {
    const server = new Server();
    const store = new TileStore(() => undefined, 1e6, server.get);
    store.want([request("a")]);
    await server.fail("a", new Problem("There is no such plane.", 404));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([store.isLost("a"), server.waiting.size]).toEqual([true, 0]);
    store.retry();
    await server.answer("a");
    expect([store.isLost("a"), store.has("a")]).toEqual([false, true]);
  });

  test("gives up after some attempts", async () => {
    const server = new Server();
    const store = new TileStore(() => undefined, 1e6, server.get);
    store.want([request("a")]);
    for (let attempt = 0; attempt < 4; attempt++) {
      await server.fail("a", new Problem("Away.", 503));
      await vi.advanceTimersByTimeAsync(10_000);
    }
    expect([store.isLost("a"), server.waiting.size]).toEqual([true, 0]);
  });

  test("a tile of the wrong size is no tile", async () => {
    const server = new Server();
    const store = new TileStore(() => undefined, 1e6, server.get);
    store.want([request("a")]);
    await server.answer("a", new ArrayBuffer(31));
    expect([store.has("a"), store.isLost("a")]).toEqual([false, true]);
  });
});
