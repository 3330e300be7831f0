// Mouse, pen and fingers on the picture: drag, pinch, wheel, double click and click.

import { type Camera, dragged, type Point, pinched, type Size, zoomed } from "./camera";

/** Farther than that it was no click. */
const CLICK_PX = 5;
const WHEEL_STEP = 0.0015;
/** Browsers tell of a pinch on a touch pad as a wheel with Control, in much smaller steps. */
const PINCH_STEP = 0.01;
const LINE_PX = 16;
const DOUBLE_CLICK_ZOOM = 2;

export interface GestureTarget {
  readonly image: Size;
  readonly view: Size;
  camera: Camera;
  hover(point: Point | null): void;
  pick(point: Point): void;
}

/** Listen on an element. Returns how to stop. */
export function listen(element: HTMLElement, target: GestureTarget): () => void {
  const gestures = new Gestures(element, target);
  const stopper = new AbortController();
  const { signal } = stopper;
  element.addEventListener("pointerdown", (event) => gestures.down(event), { signal });
  element.addEventListener("pointermove", (event) => gestures.move(event), { signal });
  element.addEventListener("pointerup", (event) => gestures.up(event), { signal });
  element.addEventListener("pointercancel", (event) => gestures.cancel(event), { signal });
  element.addEventListener("pointerleave", () => target.hover(null), { signal });
  element.addEventListener("dblclick", (event) => gestures.zoom(DOUBLE_CLICK_ZOOM, event), { signal });
  element.addEventListener("wheel", (event) => gestures.wheel(event), { signal, passive: false });
  return () => stopper.abort();
}

class Gestures {
  readonly #fingers = new Map<number, Point>();
  #travelled_px = 0;

  constructor(readonly element: HTMLElement, readonly target: GestureTarget) {}

  down(event: PointerEvent): void {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    // Holding the pointer would take the click from a button over the picture.
    if ((event.target as Element).closest("button")) return;
    // An event made by a script has no pointer that could be held.
    try {
      this.element.setPointerCapture(event.pointerId);
    } catch {}
    if (this.#fingers.size === 0) this.#travelled_px = 0;
    this.#fingers.set(event.pointerId, this.#at(event));
  }

  move(event: PointerEvent): void {
    const at = this.#at(event);
    const from = this.#fingers.get(event.pointerId);
    if (from) this.#drag(event.pointerId, from, at);
    else if (event.pointerType !== "touch") this.target.hover(at);
  }

  #drag(id: number, from: Point, at: Point): void {
    this.#travelled_px += Math.hypot(at.x - from.x, at.y - from.y);
    const { target } = this;
    const other = [...this.#fingers].find(([finger]) => finger !== id)?.[1];
    if (other) {
      target.camera = pinched(target.camera, [other, from], [other, at], target.view, target.image);
    } else if (this.#travelled_px > CLICK_PX) {
      target.camera = dragged(target.camera, at.x - from.x, at.y - from.y, target.image);
    }
    this.#fingers.set(id, at);
  }

  up(event: PointerEvent): void {
    const isLast = this.#fingers.size === 1;
    if (!this.#fingers.delete(event.pointerId)) return;
    if (isLast && this.#travelled_px <= CLICK_PX) this.target.pick(this.#at(event));
  }

  cancel(event: PointerEvent): void {
    this.#fingers.delete(event.pointerId);
    this.#travelled_px = Infinity;
  }

  wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    this.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? PINCH_STEP : WHEEL_STEP)), event);
  }

  zoom(factor: number, event: MouseEvent): void {
    const { target } = this;
    target.camera = zoomed(target.camera, factor, this.#at(event), target.view, target.image);
  }

  #at(event: MouseEvent): Point {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }
}
