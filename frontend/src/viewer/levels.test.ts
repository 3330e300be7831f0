import { describe, expect, test } from "vitest";

import { boxOf, coarser, levelFor, tileAt, tileSize, visibleTiles } from "./levels";
import { madeUpImage } from "./testing";

const IMAGE = madeUpImage();

describe("levels", () => {
  test("the coarsest level that is sharp enough", () => {
    expect(IMAGE.levels.length).toBe(4);
    expect([8, 1, 0.7, 0.6, 0.3, 0.15, 0.01].map((scale) => levelFor(IMAGE, scale))).toEqual([0, 0, 0, 1, 2, 3, 3]);
  });

  test("tiles at the edge are cut there", () => {
    expect(tileSize(IMAGE, { level: 0, row: 0, column: 0 })).toEqual({ width: 256, height: 256 });
    expect(tileSize(IMAGE, { level: 0, row: 7, column: 11 })).toEqual({ width: 185, height: 208 });
    expect(tileSize(IMAGE, { level: 3, row: 0, column: 1 })).toEqual({ width: 120, height: 250 });
  });

  test("the tiles of every level cover the image without gap or overlap", () => {
    for (let level = 0; level < IMAGE.levels.length; level++) {
      const all = visibleTiles(IMAGE, level, { x_px: 1500, y_px: 1000, scale: 0.1 }, { width: 900, height: 900 });
      const area = all.map((tile) => boxOf(IMAGE, tile))
        .reduce((sum, { left, top, right, bottom }) => sum + (right - left) * (bottom - top), 0);
      expect(area).toBe(3001 * 2000);
    }
  });

  test("only what can be seen, the middle first", () => {
    const tiles = visibleTiles(IMAGE, 0, { x_px: 640, y_px: 384, scale: 1 }, { width: 512, height: 256 });
    expect(tiles[0]).toEqual({ level: 0, row: 1, column: 2 });
    expect(tiles.map(({ row, column }) => `${row}/${column}`).sort()).toEqual(["1/1", "1/2", "1/3"]);
  });

  test("nothing of an image that is out of sight", () => {
    expect(visibleTiles(IMAGE, 0, { x_px: -5000, y_px: 0, scale: 1 }, { width: 500, height: 500 })).toEqual([]);
  });

  test("a coarser tile has the whole of the finer one in it", () => {
    const tile = { level: 0, row: 7, column: 11 };
    for (const level of [1, 2, 3]) {
      const [inner, outer] = [boxOf(IMAGE, tile), boxOf(IMAGE, coarser(tile, level))];
      expect(outer.left).toBeLessThanOrEqual(inner.left);
      expect(outer.top).toBeLessThanOrEqual(inner.top);
      expect(outer.right).toBeGreaterThanOrEqual(inner.right);
      expect(outer.bottom).toBeGreaterThanOrEqual(inner.bottom);
    }
  });

  test("a pixel is in one tile", () => {
    expect(tileAt(IMAGE, 0, 255.9, 256)).toEqual({ tile: { level: 0, row: 1, column: 0 }, x: 255, y: 0 });
    expect(tileAt(IMAGE, 1, 3000.5, 1999)).toEqual({ tile: { level: 1, row: 3, column: 5 }, x: 220, y: 231 });
  });
});
