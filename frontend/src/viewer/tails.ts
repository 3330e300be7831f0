// Tails of tracks on a canvas over the picture: strong where the cell is, faint where it was.

import { type Camera, type Point, type Size, toScreen } from "./camera";
import { css, labelColour } from "./colours";
import type { Tail } from "./tracks";

/** Steps in which a tail fades: a line is drawn per step, not per frame. */
const STEPS = 4;
const LINE_PX = 1.75;
const PICKED_LINE_PX = 3;

export interface TailLooks {
  readonly t: number;
  readonly length: number;
  readonly picked: number;
}

export function drawTails(
  canvas: HTMLCanvasElement, tails: Tail[], looks: TailLooks, camera: Camera, view: Size, ratio: number,
): void {
  // Setting the size clears; clearRect left old lines on the screen with some graphics drivers.
  canvas.width = Math.round(view.width * ratio);
  canvas.height = Math.round(view.height * ratio);
  const context = canvas.getContext("2d");
  if (!context || tails.length === 0) return;
  context.scale(ratio, ratio);
  context.lineCap = context.lineJoin = "round";
  for (const tail of tails) {
    const points = tail.points.map((point) => toScreen(camera, view, point));
    if (isSeen(points, view)) drawTail(context, tail, points, looks);
  }
}

function drawTail(context: CanvasRenderingContext2D, tail: Tail, points: Point[], looks: TailLooks): void {
  const isPicked = tail.track === looks.picked;
  context.lineWidth = isPicked ? PICKED_LINE_PX : LINE_PX;
  for (let step = 0; step < STEPS; step++) {
    const [from, to] = stepOf(tail.frames, looks, step);
    if (to <= from) continue;
    context.strokeStyle = css(labelColour(tail.track), fading(step));
    context.beginPath();
    context.moveTo(points[from]!.x, points[from]!.y);
    for (let i = from + 1; i <= to; i++) context.lineTo(points[i]!.x, points[i]!.y);
    context.stroke();
  }
}

function fading(step: number): number {
  return (step + 1) / STEPS;
}

/** First and last point of a step; step 0 is the oldest. Steps share their ends, so that lines join. */
export function stepOf(frames: number[], { t, length }: TailLooks, step: number): [number, number] {
  const age = (i: number) => Math.min(STEPS - 1, Math.floor(((t - frames[i]!) / (length + 1)) * STEPS));
  const wanted = STEPS - 1 - step;
  let from = -1;
  let to = -1;
  for (let i = 0; i < frames.length; i++) {
    if (age(i) !== wanted) continue;
    if (from < 0) from = i;
    to = i;
  }
  return from < 0 ? [0, 0] : [Math.max(0, from - 1), to];
}

function isSeen(points: Point[], view: Size): boolean {
  return points.some(({ x, y }) => x >= 0 && y >= 0 && x <= view.width && y <= view.height);
}
