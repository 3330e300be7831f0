// Fetches tiles: what is wanted most first, a few at a time, and keeps as many as there is room for.

import { getBytes } from "../api/client";
import { Problem, sentenceOf } from "../api/problem";
import type { TileRequest } from "./addresses";
import { bytesOf, decode, type TileData } from "./decoding";
import { Lru } from "./lru";

/** Browsers open six connections to a server of HTTP/1.1; one stays free for events and tables. */
const AT_A_TIME = 5;
const MOST_BYTES = 256 * 2 ** 20;
const RETRY_AFTER_MS = [500, 2000, 6000];

interface Failure {
  attempts: number;
  /** Until then nobody asks again; Infinity: not at all. */
  waitUntil_ms: number;
  message: string;
}

export class TileStore {
  readonly #kept: Lru<TileData>;
  readonly #running = new Map<string, AbortController>();
  readonly #failures = new Map<string, Failure>();
  #wanted: TileRequest[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `onChange` is called when a tile has come or is not to be had. */
  constructor(
    readonly onChange: () => void,
    mostBytes = MOST_BYTES,
    readonly fetchBytes = getBytes,
  ) {
    this.#kept = new Lru(mostBytes);
  }

  get bytes(): number {
    return this.#kept.bytes;
  }

  /** A tile that is here already. */
  get(path: string): TileData | undefined {
    return this.#kept.get(path);
  }

  has(path: string): boolean {
    return this.#kept.has(path);
  }

  /** Given up: drawn without it. */
  isLost(path: string): boolean {
    return this.#failures.get(path)?.waitUntil_ms === Infinity;
  }

  /** Why a wanted tile does not come, as a sentence; "" if all is well. */
  get problem(): string {
    for (const { path } of this.#wanted) {
      const failure = this.#failures.get(path);
      if (failure) return failure.message;
    }
    return "";
  }

  /** From now on these are wanted, the first ones most; fetches of others are stopped. */
  want(requests: TileRequest[]): void {
    this.#wanted = upTo(this.#kept.mostBytes, requests);
    const paths = new Set(this.#wanted.map(({ path }) => path));
    for (const [path, controller] of this.#running) {
      if (!paths.has(path)) controller.abort();
    }
    this.#next();
  }

  /** Ask again for all that failed. */
  retry(): void {
    this.#failures.clear();
    this.onChange();
    this.#next();
  }

  /** One tile for an answer that cannot wait, such as what was clicked on. */
  async load(request: TileRequest, signal?: AbortSignal): Promise<TileData> {
    const known = this.#kept.get(request.path);
    if (known) return known;
    const tile = decode(await this.fetchBytes(request.path, signal), request);
    this.#kept.set(request.path, tile, tile.values.byteLength);
    return tile;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.want([]);
    this.#kept.clear();
  }

  #next(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    let soonest = Infinity;
    for (const request of this.#wanted) {
      if (this.#running.size >= AT_A_TIME) return;
      const { path } = request;
      if (this.#kept.has(path) || this.#running.has(path)) continue;
      const waitUntil = this.#failures.get(path)?.waitUntil_ms ?? 0;
      if (waitUntil <= now) void this.#fetch(request);
      else soonest = Math.min(soonest, waitUntil);
    }
    if (soonest < Infinity) this.#timer = setTimeout(() => this.#next(), soonest - now + 1);
  }

  async #fetch(request: TileRequest): Promise<void> {
    const controller = new AbortController();
    this.#running.set(request.path, controller);
    try {
      await this.load(request, controller.signal);
      this.#failures.delete(request.path);
    } catch (error) {
      if (!controller.signal.aborted) this.#failed(request.path, error);
    }
    this.#running.delete(request.path);
    if (!controller.signal.aborted) this.onChange();
    this.#next();
  }

  #failed(path: string, error: unknown): void {
    const attempts = (this.#failures.get(path)?.attempts ?? 0) + 1;
    const wait = mayPass(error) ? RETRY_AFTER_MS[attempts - 1] : undefined;
    const waitUntil_ms = wait === undefined ? Infinity : performance.now() + wait;
    this.#failures.set(path, { attempts, waitUntil_ms, message: sentenceOf(error) });
  }
}

/** As many as can be kept at once: more would throw each other out and be fetched for ever. */
function upTo(mostBytes: number, requests: TileRequest[]): TileRequest[] {
  let bytes = 0;
  const end = requests.findIndex((request) => (bytes += bytesOf(request)) > mostBytes);
  return end < 0 ? requests : requests.slice(0, Math.max(1, end));
}

/** Whether to ask again makes sense: not for what the server refuses. */
function mayPass(error: unknown): boolean {
  if (error instanceof Problem) return error.isPassing || error.status === 500;
  return !(error instanceof RangeError);
}
