// The files that have not become jobs yet, kept in the browser so that a reload loses none.

import type { Reading } from "../api/types";

export interface Remembered {
  key: string;
  name: string;
  size_bytes: number;
  /** Id of the upload once it has arrived, else "". */
  upload: string;
  reading: Reading;
  channel: string;
}

/** Each file has an entry of its own: several tabs may write at the same time. */
export class Memory {
  #prefix: string;
  #storage: Storage | null;

  /** @param owner Whose files: another owner at the same machine does not see their names. */
  constructor(owner: string, storage: Storage | null = available()) {
    this.#prefix = `kiosk-file:${owner}:`;
    this.#storage = storage;
  }

  all(): Remembered[] {
    const storage = this.#storage;
    if (!storage) return [];
    const keys = Array.from({ length: storage.length }, (_, place) => storage.key(place) ?? "");
    return keys.filter((key) => key.startsWith(this.#prefix)).flatMap((key) => {
      const entry = readable(storage.getItem(key));
      return entry ? [entry] : [];
    }).sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  }

  keep(entry: Remembered): void {
    try {
      this.#storage?.setItem(this.#prefix + entry.key, JSON.stringify(entry));
    } catch {
      // Full: then a reload forgets this file, and nothing else is lost.
    }
  }

  forget(key: string): void {
    this.#storage?.removeItem(this.#prefix + key);
  }
}

function readable(text: string | null): Remembered | null {
  try {
    const entry = JSON.parse(text ?? "") as Partial<Remembered>;
    if (typeof entry.key !== "string" || typeof entry.name !== "string") return null;
    return {
      key: entry.key, name: entry.name, size_bytes: Number(entry.size_bytes) || 0,
      upload: entry.upload ?? "", reading: entry.reading ?? {}, channel: entry.channel ?? "",
    };
  } catch {
    return null;
  }
}

function available(): Storage | null {
  try {
    return globalThis.localStorage;
  } catch {
    return null; // blocked by the browser's settings
  }
}
