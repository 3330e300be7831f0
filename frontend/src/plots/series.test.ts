import { describe, expect, test } from "vitest";

import { counts, distribution } from "./series";

const plane = (t: number, z: number | null, instances: number) => ({ t, z, instances });

describe("series", () => {
  test("a movie is counted over time, its planes together", () => {
    const series = counts([plane(1, 0, 5), plane(0, 0, 2), plane(0, 1, 3)])!;
    expect([series.x, series.y, series.x_title]).toEqual([[0, 1], [5, 5], "frame"]);
  });

  test("a stack is counted over depth, a single plane not at all", () => {
    expect(counts([plane(0, 0, 5), plane(0, 1, 7)])).toMatchObject({ x: [0, 1], y: [5, 7], x_title: "plane" });
    expect(counts([plane(0, null, 5)])).toBeNull();
  });

  test("a histogram has a step per bin, and says where the middle is", () => {
    const series = distribution({ column: "area_um2", title: "Area", unit: "um2", edges: [0, 10, 20, 30], counts: [1, 6, 1] });
    expect([series.x, series.y, series.x_title]).toEqual([[0, 10, 20, 30], [1, 6, 1, 1], "µm²"]);
    expect(series.x_texts).toEqual(["0 to 10", "10 to 20", "20 to 30"]);
    expect(series.note).toBe("8 values; half of them below about 15.");
  });

  test("an empty histogram is no trouble", () => {
    expect(distribution({ column: "a", title: "A", unit: "", edges: [0, 1], counts: [0] }).note).toBe("There are none.");
  });
});
