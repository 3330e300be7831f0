import { describe, expect, test } from "vitest";

import { centred, dragged, fit, pinched, toImage, toScreen, zoomed } from "./camera";

const IMAGE = { width: 2000, height: 1000 };
const VIEW = { width: 500, height: 500 };
const WHOLE = { left: 0, top: 0, right: 2000, bottom: 1000 };

describe("camera", () => {
  test("a fitted image touches two sides of the view and lies in its middle", () => {
    const camera = fit(WHOLE, VIEW);
    expect(camera).toEqual({ x_px: 1000, y_px: 500, scale: 0.25 });
    expect(toScreen(camera, VIEW, { x: 0, y: 500 })).toEqual({ x: 0, y: 250 });
  });

  test("a view without a size does no harm", () => {
    expect(fit(WHOLE, { width: 0, height: 0 }).scale).toBe(1);
  });

  test("screen and image are each other's inverse", () => {
    const camera = { x_px: 321.5, y_px: 77, scale: 3.7 };
    const there = toImage(camera, VIEW, { x: 12, y: 499 });
    const back = toScreen(camera, VIEW, there);
    expect(back.x).toBeCloseTo(12);
    expect(back.y).toBeCloseTo(499);
  });

  test("zooming holds what is below the pointer", () => {
    const camera = { x_px: 900, y_px: 450, scale: 1 };
    const at = { x: 400, y: 130 };
    const after = zoomed(camera, 2.5, at, VIEW, IMAGE);
    expect(after.scale).toBe(2.5);
    expect(toImage(after, VIEW, at).x).toBeCloseTo(toImage(camera, VIEW, at).x);
    expect(toImage(after, VIEW, at).y).toBeCloseTo(toImage(camera, VIEW, at).y);
  });

  test("zoom ends: a pixel is never larger than 64, the image never a speck", () => {
    const camera = { x_px: 900, y_px: 450, scale: 1 };
    const middle = { x: 250, y: 250 };
    expect(zoomed(camera, 1e9, middle, VIEW, IMAGE).scale).toBe(64);
    expect(zoomed(camera, 1e-9, middle, VIEW, IMAGE).scale).toBe(0.0625);
  });

  test("dragging moves by image pixels and never loses the image", () => {
    const camera = { x_px: 900, y_px: 450, scale: 2 };
    expect(dragged(camera, 10, -20, IMAGE)).toEqual({ x_px: 895, y_px: 460, scale: 2 });
    expect(dragged(camera, 1e6, 1e6, IMAGE)).toEqual({ x_px: 0, y_px: 0, scale: 2 });
  });

  test("two fingers twice as far apart zoom twice, around their middle", () => {
    const camera = { x_px: 1000, y_px: 500, scale: 1 };
    const after = pinched(
      camera, [{ x: 200, y: 250 }, { x: 300, y: 250 }], [{ x: 150, y: 250 }, { x: 350, y: 250 }], VIEW, IMAGE,
    );
    expect(after).toEqual({ x_px: 1000, y_px: 500, scale: 2 });
  });

  test("centring comes nearer but never goes farther away", () => {
    const far = { x_px: 0, y_px: 0, scale: 0.1 };
    expect(centred(far, { x: 40, y: 50 }, 12, VIEW)).toMatchObject({ x_px: 40, y_px: 50 });
    expect(centred(far, { x: 40, y: 50 }, 12, VIEW).scale).toBeGreaterThan(1);
    expect(centred({ ...far, scale: 30 }, { x: 1, y: 1 }, 12, VIEW).scale).toBe(30);
  });
});
