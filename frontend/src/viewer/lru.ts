/** Things kept up to a number of bytes; those not used for longest go first. */
export class Lru<V> {
  #bytes = 0;
  // A Map keeps the order in which keys were put in: the first is the one to go.
  readonly #kept = new Map<string, { value: V; bytes: number }>();

  constructor(
    readonly mostBytes: number,
    readonly onDrop: (value: V) => void = () => undefined,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#kept.size;
  }

  has(key: string): boolean {
    return this.#kept.has(key);
  }

  /** What is kept, which counts as used now. */
  get(key: string): V | undefined {
    const entry = this.#kept.get(key);
    if (!entry) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, entry);
    return entry.value;
  }

  /** The newest is kept even if it alone is too large: somebody wants to see it. */
  set(key: string, value: V, bytes: number): void {
    this.drop(key);
    this.#kept.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.mostBytes || oldest === key) break;
      this.drop(oldest);
    }
  }

  drop(key: string): void {
    const entry = this.#kept.get(key);
    if (!entry) return;
    this.#kept.delete(key);
    this.#bytes -= entry.bytes;
    this.onDrop(entry.value);
  }

  clear(): void {
    for (const key of [...this.#kept.keys()]) this.drop(key);
  }
}
