// How fast something goes, and how long the rest will take.

interface Sample {
  time_ms: number;
  amount: number;
}

/** Speed over the last while: of bytes that are sent, or of parts that are done. */
export class Pace {
  #samples: Sample[] = [];

  /** @param window_ms How far back the speed is measured. */
  constructor(private readonly window_ms: number) {}

  /** The amount that has been done by now; less than before means a new beginning. */
  add(amount: number, time_ms: number): void {
    const last = this.#samples.at(-1);
    if (last && amount < last.amount) this.#samples = [];
    this.#samples.push({ time_ms, amount });
    const oldest_ms = time_ms - this.window_ms;
    // The newest sample from before the window stays: what has been slow counts as slow.
    while (this.#samples.length > 2 && this.#samples[1]!.time_ms <= oldest_ms) {
      this.#samples.shift();
    }
  }

  /** Amount per second; 0 while it is not known. */
  get per_s(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.time_ms <= first.time_ms) return 0;
    return (last.amount - first.amount) / ((last.time_ms - first.time_ms) / 1000);
  }

  /** Seconds until `total` is reached; null while nobody can say. */
  secondsLeft(total: number): number | null {
    const last = this.#samples.at(-1);
    if (!last || this.per_s <= 0) return null;
    return Math.max(0, total - last.amount) / this.per_s;
  }
}
