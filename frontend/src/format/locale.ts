// In which language numbers and times are written.

/** The browser's own; the words of the page are English, its numbers are the reader's. */
export function locale(): string | undefined {
  return globalThis.navigator?.language || undefined;
}
