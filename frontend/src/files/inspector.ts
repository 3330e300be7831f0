// Asks the kiosk what is in the files that have arrived.

import { isAbort, Problem, sentenceOf } from "../api/problem";
import type { InspectedImage, Reading } from "../api/types";
import { inspect } from "../api/uploads";
import type { FileItem } from "./item";

// Each opens the file on the kiosk, which has more to do.
const AT_A_TIME = 2;
const RETRY_MS = 5000;
export const THUMBNAIL_PX = 256;

type Inspect = (id: string, reading: Reading, px: number, signal?: AbortSignal)
=> Promise<InspectedImage[]>;

export class Inspector {
  /** Called when a file has been read, be it in vain. */
  onRead: (item: FileItem) => void = () => {};
  /** Called when the kiosk has the file no more. */
  onGone: (item: FileItem) => void = () => {};
  #waiting: FileItem[] = [];
  #running = new Map<FileItem, AbortController>();

  constructor(private readonly ask: Inspect = inspect) {}

  /** Read a file, or read it anew because its corrections have changed. */
  read(item: FileItem): void {
    this.leave(item);
    item.contents.state.value = "reading";
    this.#waiting.push(item);
    this.#next();
  }

  leave(item: FileItem): void {
    this.#running.get(item)?.abort();
    this.#running.delete(item);
    this.#waiting = this.#waiting.filter((other) => other !== item);
  }

  #next(): void {
    while (this.#running.size < AT_A_TIME) {
      const item = this.#waiting.shift();
      if (!item) return;
      void this.#run(item);
    }
  }

  async #run(item: FileItem): Promise<void> {
    const stopper = new AbortController();
    this.#running.set(item, stopper);
    const { contents, transfer } = item;
    try {
      const reading = { ...contents.corrections.value, ...item.only };
      const images = await this.ask(transfer.upload.value, reading, THUMBNAIL_PX, stopper.signal);
      if (stopper.signal.aborted) return;
      contents.show(images);
      this.onRead(item);
    } catch (error) {
      if (isAbort(error) || stopper.signal.aborted) return;
      this.#failed(item, error);
    } finally {
      if (this.#running.get(item) === stopper) this.#running.delete(item);
      this.#next();
    }
  }

  #failed(item: FileItem, error: unknown): void {
    const { contents } = item;
    contents.trouble.value = sentenceOf(error);
    if (error instanceof Problem && error.isPassing) {
      setTimeout(() => { if (contents.state.value === "reading") this.read(item); }, RETRY_MS);
      return;
    }
    contents.state.value = "unreadable";
    if (error instanceof Problem && error.status === 404) this.onGone(item);
    else this.onRead(item);
  }
}
