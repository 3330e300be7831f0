// Files on their way: some at a time, each for itself, going on after a break.

import { signal } from "@preact/signals";

import type { Problem } from "../api/problem";
import type { Carrier, Transfer } from "./transfer";

// Three keep the line busy and leave half of a browser's six connections to the rest of the page.
const AT_A_TIME = 3;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

export class UploadQueue {
  readonly transfers = signal<readonly Transfer[]>([]);
  /** Called when a file has come to an end, good or bad. */
  onSettled: (transfer: Transfer) => void = () => {};
  #carrier: Carrier;
  #stops = new Map<Transfer, () => void>();
  #wait_ms = FIRST_WAIT_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
    globalThis.addEventListener?.("online", () => this.#release());
  }

  add(transfers: readonly Transfer[]): void {
    this.transfers.value = [...this.transfers.value, ...transfers];
    this.#next();
  }

  pause(transfer: Transfer): void {
    if (!transfer.isOpen) return;
    this.#stop(transfer);
    transfer.state.value = "paused";
    this.#next();
  }

  /** Go on with one that was paused or has failed. */
  resume(transfer: Transfer): void {
    if (!transfer.file || !["paused", "failed"].includes(transfer.state.value)) return;
    transfer.state.value = "waiting";
    transfer.trouble.value = "";
    this.#next();
  }

  /** Its file was chosen again after the page had been loaded anew. */
  found(transfer: Transfer, file: File): void {
    transfer.file = file;
    transfer.state.value = "waiting";
    transfer.trouble.value = "";
    this.#next();
  }

  remove(transfer: Transfer): void {
    this.#stop(transfer);
    if (transfer.state.value !== "arrived") this.#carrier.forget(transfer);
    this.transfers.value = this.transfers.value.filter((other) => other !== transfer);
    this.#next();
  }

  pauseAll(): void {
    for (const transfer of this.transfers.value) {
      if (transfer.state.value === "sending") this.#stop(transfer);
      if (transfer.isOpen) transfer.state.value = "paused";
    }
  }

  resumeAll(): void {
    for (const transfer of this.transfers.value) {
      if (transfer.state.value === "paused") transfer.state.value = "waiting";
    }
    this.#next();
  }

  retryAll(): void {
    for (const transfer of this.transfers.value) {
      if (transfer.state.value === "failed") this.resume(transfer);
    }
  }

  #next(): void {
    if (this.#timer !== undefined) return; // the line is down
    for (const transfer of this.transfers.value) {
      if (this.#stops.size >= AT_A_TIME) return;
      const state = transfer.state.value;
      if (state === "waiting" || state === "interrupted") this.#send(transfer);
    }
  }

  #send(transfer: Transfer): void {
    transfer.state.value = "sending";
    transfer.trouble.value = "";
    this.#stops.set(transfer, () => {});
    const stop = this.#carrier.send(transfer, {
      onProgress: (sent_bytes) => {
        transfer.sent_bytes.value = sent_bytes;
        this.#wait_ms = FIRST_WAIT_MS;
      },
      onArrived: (upload) => this.#arrived(transfer, upload),
      onFailed: (problem) => this.#failed(transfer, problem),
    });
    // It may have failed at once.
    if (this.#stops.has(transfer)) this.#stops.set(transfer, stop);
  }

  #arrived(transfer: Transfer, upload: string): void {
    this.#stops.delete(transfer);
    transfer.sent_bytes.value = transfer.size_bytes;
    transfer.upload.value = upload;
    transfer.state.value = "arrived";
    transfer.file = null; // it may be gigabytes in the browser's hands
    this.#next();
    this.onSettled(transfer);
  }

  #failed(transfer: Transfer, problem: Problem): void {
    this.#stops.delete(transfer);
    transfer.trouble.value = problem.message;
    if (problem.isPassing) {
      transfer.state.value = "interrupted";
      this.#hold(problem.retryAfter_s * 1000);
      return;
    }
    transfer.state.value = "failed";
    this.#next();
    this.onSettled(transfer);
  }

  /** The line is down or the kiosk is full: nobody starts for a while. */
  #hold(least_ms: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#release(), Math.max(least_ms, this.#wait_ms));
    this.#wait_ms = Math.min(LONGEST_WAIT_MS, this.#wait_ms * 2);
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#next();
  }

  #stop(transfer: Transfer): void {
    this.#stops.get(transfer)?.();
    this.#stops.delete(transfer);
  }
}
