// All files that have been chosen and are no jobs yet.

import { batch, computed, signal } from "@preact/signals";

import { largestUpload_bytes } from "../api/uploads";
import { verdict } from "../upload/acceptance";
import { pathOf } from "../upload/dropped";
import { UploadQueue } from "../upload/queue";
import { Memory } from "../upload/remembered";
import { type Carrier, Transfer } from "../upload/transfer";
import { Inspector } from "./inspector";
import { FileItem } from "./item";

export class Tray {
  readonly items = signal<readonly FileItem[]>([]);
  readonly ready = computed(() => this.items.value.filter((item) => item.isReady.value));
  readonly queue: UploadQueue;
  readonly inspector = new Inspector();
  /** Called when a file may become a job. */
  onReady: (item: FileItem) => void = () => {};
  #memory: Memory | null = null;
  #most_bytes = Infinity;

  constructor(carrier: Carrier) {
    this.queue = new UploadQueue(carrier);
    this.queue.onSettled = (transfer) => this.#settled(transfer);
    this.inspector.onRead = (item) => this.#read(item);
    this.inspector.onGone = (item) => this.#gone(item);
  }

  /** Take up what this owner had left here. */
  async open(owner: string): Promise<void> {
    this.#memory = new Memory(owner);
    const items = this.#memory.all()
      .filter(({ key }) => !this.items.value.some((item) => item.transfer.key === key))
      .map((entry) => {
        const transfer = new Transfer(entry.key, entry.name, entry.size_bytes, null);
        const item = new FileItem(transfer);
        item.contents.corrections.value = entry.reading;
        item.contents.channel.value = entry.channel;
        if (entry.upload) {
          transfer.upload.value = entry.upload;
          transfer.state.value = "arrived";
        }
        return item;
      });
    this.#put(items);
    for (const item of items) if (item.transfer.state.value === "arrived") this.inspector.read(item);
    this.#most_bytes = await largestUpload_bytes().catch(() => Infinity);
  }

  /** New files; those that are known already only get their file back. */
  take(files: readonly File[]): void {
    const items = files.flatMap((file) => this.#itemOf(file) ?? []);
    this.#put(items);
    this.queue.add(items.filter((item) => !item.doubt.value).map((item) => item.transfer));
    for (const item of items) this.remember(item);
  }

  /** A file that the kiosk has already: to be run again. */
  takeUpload(upload: string, name: string): FileItem {
    const transfer = new Transfer(`again-${upload}`, name, 0, null);
    transfer.upload.value = upload;
    transfer.state.value = "arrived";
    const known = this.items.value.find((item) => item.transfer.upload.value === upload);
    const item = known ?? new FileItem(transfer);
    if (!known) this.#put([item]);
    return item;
  }

  /** Send it although something speaks against it. */
  tryAnyway(item: FileItem): void {
    item.doubt.value = "";
    this.queue.add([item.transfer]);
  }

  remove(item: FileItem): void {
    this.queue.remove(item.transfer);
    this.inspector.leave(item);
    this.#memory?.forget(item.transfer.key);
    this.items.value = this.items.value.filter((other) => other !== item);
  }

  removeAll(): void {
    batch(() => this.items.value.forEach((item) => this.remove(item)));
  }

  /** Change how files are read; the kiosk looks at them anew. */
  correct(items: readonly FileItem[], change: (item: FileItem) => boolean): void {
    batch(() => items.forEach((item) => {
      if (change(item)) this.inspector.read(item);
      this.remember(item);
    }));
  }

  /** Files that are read alike, this one included. */
  likes(item: FileItem): readonly FileItem[] {
    const kind = item.contents.kind.value;
    return kind ? this.items.value.filter((other) => other.contents.kind.value === kind) : [item];
  }

  remember(item: FileItem): void {
    const { contents, transfer } = item;
    if (item.doubt.value) return;
    this.#memory?.keep({
      key: transfer.key, name: transfer.name, size_bytes: transfer.size_bytes,
      upload: transfer.upload.value, reading: contents.corrections.value,
      channel: contents.channel.value,
    });
  }

  #itemOf(file: File): FileItem | null {
    const key = keyOf(file);
    const known = this.items.value.find((item) => item.transfer.key === key)
      ?? this.items.value.find((item) => isLost(item, file));
    if (known) {
      if (isLost(known, file)) this.#found(known, file);
      return null;
    }
    const { reason, mayTry } = verdict(file.name, file.size, this.#most_bytes);
    const item = new FileItem(new Transfer(key, file.name, file.size, file), mayTry);
    item.doubt.value = reason;
    return item;
  }

  #found(item: FileItem, file: File): void {
    const { transfer } = item;
    if (this.queue.transfers.value.includes(transfer)) {
      this.queue.found(transfer, file);
      return;
    }
    transfer.file = file;
    transfer.state.value = "waiting";
    this.queue.add([transfer]);
  }

  #put(items: readonly FileItem[]): void {
    if (items.length > 0) this.items.value = [...this.items.value, ...items];
  }

  #settled(transfer: Transfer): void {
    const item = this.items.value.find((other) => other.transfer === transfer);
    if (!item || transfer.state.value !== "arrived") return;
    this.remember(item);
    this.inspector.read(item);
  }

  #read(item: FileItem): void {
    if (item.isReady.value) this.onReady(item);
  }

  /** The kiosk has deleted it; what the browser has of it cannot be sent again. */
  #gone(item: FileItem): void {
    item.transfer.upload.value = "";
    item.transfer.sent_bytes.value = 0;
    item.transfer.state.value = "missing";
    item.transfer.trouble.value = "The kiosk has this file no more.";
    item.contents.state.value = "unread";
    this.#memory?.forget(item.transfer.key);
  }
}

/** Tells a file from others, now and after the page was loaded anew. */
export function keyOf(file: File): string {
  return [pathOf(file) || file.name, file.size, file.lastModified].join("|");
}

/** Chosen again from another dialog, a file may have lost its folder. */
function isLost({ transfer }: FileItem, file: File): boolean {
  if (transfer.state.value !== "missing" || transfer.name !== file.name) return false;
  return transfer.size_bytes === file.size || transfer.size_bytes === 0;
}
