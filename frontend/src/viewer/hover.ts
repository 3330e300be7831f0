// What is below the pointer: first from what is on the screen, then at full size when it rests.

import { imageTile } from "./addresses";
import type { Point } from "./camera";
import { exactValue, isInside, valueAtHand } from "./picking";
import type { Stage } from "./stage";
import { type ChannelLooks, realValue } from "./state";

const REST_MS = 150;

export class HoverReader {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopper = new AbortController();

  constructor(readonly stage: Stage) {}

  /** The pointer is at a point of the screen; null: nowhere. */
  at(point: Point | null): void {
    this.#stop();
    const { state, image } = this.stage;
    const place = point && this.stage.toImage(point);
    if (!place || !isInside(image, place.x, place.y)) {
      state.hover.value = null;
      state.hovered.value = 0;
      return;
    }
    const label = this.stage.labelAtHand(place);
    state.hovered.value = label;
    const values = this.#channels().map((looks) => this.#valueAtHand(looks, place));
    const isExact = values.every(({ isExact }) => isExact);
    const at = { x_px: Math.floor(place.x), y_px: Math.floor(place.y) };
    state.hover.value = { ...at, label, values, isExact };
    if (!isExact) this.#timer = setTimeout(() => void this.#exact(point, place), REST_MS);
  }

  #channels(): ChannelLooks[] {
    return this.stage.state.channels.peek().filter(({ isVisible }) => isVisible);
  }

  #requestOf(channel: number) {
    const { image, sources, state } = this.stage;
    const plane = state.plane.peek();
    return (tile: Parameters<typeof imageTile>[4]) => imageTile(sources.base, image, plane, channel, tile);
  }

  #valueAtHand({ channel, name }: ChannelLooks, { x, y }: Point) {
    const { image, store } = this.stage;
    const found = valueAtHand(image, store, this.#requestOf(channel), x, y);
    const text = found ? realValue(image, channel, found.value) : "…";
    return { name, text, isExact: found?.isExact ?? false };
  }

  async #exact(point: Point, { x, y }: Point): Promise<void> {
    const { image, store, state } = this.stage;
    const { signal } = (this.#stopper = new AbortController());
    try {
      const label = await this.stage.labelAt(point, signal);
      const values = await Promise.all(this.#channels().map(async ({ channel, name }) => {
        const stored = await exactValue(image, store, this.#requestOf(channel), x, y, signal);
        return { name, text: realValue(image, channel, stored) };
      }));
      if (signal.aborted || !state.hover.peek()) return;
      state.hover.value = { ...state.hover.peek()!, label, values, isExact: true };
      state.hovered.value = label;
    } catch {
      // What is on the screen stays as the answer; the store tells of tiles that cannot be had.
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#stopper.abort();
  }

  close(): void {
    this.#stop();
  }
}
