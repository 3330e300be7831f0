import { describe, expect, test } from "vitest";

import { autoLimits, brightness, sliderEnd, withHigh, withLow } from "./contrast";
import type { TileData } from "./decoding";

function tile(values: number[]): TileData {
  return { width: values.length, height: 1, values: Uint16Array.from(values), isLabels: false };
}

describe("contrast", () => {
  test("a bright speck and a dead pixel do not count", () => {
    const values = Array.from({ length: 10_000 }, (_, i) => 1000 + (i % 100));
    const found = autoLimits([tile([...values.slice(1), 65535]), tile(values), tile([0])]);
    expect(found).toEqual({ low: 1000, high: 1099 });
  });

  test("an image of one value has limits, one without values has none", () => {
    expect(autoLimits([tile([5, 5, 5])])).toEqual({ low: 5, high: 6 });
    expect(autoLimits([])).toBeNull();
  });

  test("black up to low, full from high, straight between", () => {
    const limits = { low: 100, high: 300 };
    expect([0, 100, 200, 300, 9999].map((stored) => brightness(limits, stored))).toEqual([0, 0, 0.5, 1, 1]);
  });

  test("the thumbs never cross", () => {
    expect(withLow({ low: 10, high: 20 }, 500)).toEqual({ low: 19, high: 20 });
    expect(withHigh({ low: 10, high: 20 }, 0)).toEqual({ low: 10, high: 11 });
  });

  test("the sliders end where the camera does", () => {
    expect([sliderEnd("uint8", 200), sliderEnd("uint16", 1500), sliderEnd("uint16", 40_000)]).toEqual([255, 4095, 65535]);
  });
});
