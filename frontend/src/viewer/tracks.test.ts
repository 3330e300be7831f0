import { describe, expect, test } from "vitest";

import { stepOf } from "./tails";
import { tailsOf, windowsFor } from "./tracks";

describe("tails", () => {
  test("windows reach back as far as the tails", () => {
    expect([windowsFor(0, 10), windowsFor(24, 10), windowsFor(26, 10), windowsFor(60, 40)])
      .toEqual([[0], [0], [0, 1], [0, 1, 2]]);
  });

  test("a tail goes over the border of windows and ends at the frame", () => {
    const windows = [
      { track: [1, 1, 2], t: [23, 24, 24], y_px: [0, 1, 9], x_px: [5, 6, 9] },
      { track: [1, 1], t: [25, 26], y_px: [2, 3], x_px: [7, 8] },
    ];
    expect(tailsOf(windows, 25, 1)).toEqual([
      { track: 1, frames: [24, 25], points: [{ x: 6.5, y: 1.5 }, { x: 7.5, y: 2.5 }] },
    ]);
  });

  test("the steps of fading share their ends, so that the line has no holes", () => {
    const looks = { t: 10, length: 7, picked: 0 };
    const frames = [3, 4, 5, 6, 7, 8, 9, 10];
    expect([0, 1, 2, 3].map((step) => stepOf(frames, looks, step))).toEqual([[0, 1], [1, 3], [3, 5], [5, 7]]);
  });

  test("a gap in a track is bridged", () => {
    const looks = { t: 10, length: 7, picked: 0 };
    expect([0, 1, 2, 3].map((step) => stepOf([3, 10], looks, step))).toEqual([[0, 0], [0, 0], [0, 0], [0, 1]]);
  });
});
