import { expect, test } from "vitest";

import { labelTile, type TileRequest } from "./addresses";
import { decode, valueAt } from "./decoding";
import { tileAt } from "./levels";
import { exactValue, isInside, valueAtHand } from "./picking";
import { madeUpImage, request } from "./testing";
import { TileStore } from "./tiles";

const IMAGE = madeUpImage({}, 600, 300);
const requestOf = (tile: Parameters<typeof labelTile>[3]) => labelTile("/jobs/1", IMAGE, { t: 0, z: 0 }, tile);

/** Every pixel has a number of its own, some above 2^24 and 2^31. */
function labelOf(x: number, y: number): number {
  return (y * 600 + x) * 7919 + 1;
}

/** Labels as the server cuts them: with the neighbours around, and 0 outside. */
function tileBytes(at: TileRequest): ArrayBuffer {
  const [level, , , row, column] = at.path.split("/").slice(4).map(Number);
  const around = at.width + 2;
  return Uint32Array.from({ length: around * (at.height + 2) }, (_, i) => {
    const y = (row! * 256 + Math.floor(i / around) - 1) * 2 ** level!;
    const x = (column! * 256 + (i % around) - 1) * 2 ** level!;
    return isInside(IMAGE, x, y) ? labelOf(x, y) : 0;
  }).buffer;
}

const fetchTile = async (path: string) => {
  const [level, , , row, column] = path.split("/").slice(4).map(Number);
  return tileBytes(requestOf({ level: level!, row: row!, column: column! }));
};

test("exact to the pixel at the corners of tiles and of the image", async () => {
  const store = new TileStore(() => undefined, 1e9, fetchTile);
  for (const [x, y] of [[0, 0], [255, 255], [256, 255], [255, 256], [256, 256], [511, 0], [512, 0], [599, 299]] as const) {
    expect(await exactValue(IMAGE, store, requestOf, x + 0.99, y + 0.01)).toBe(labelOf(x, y));
  }
});

test("numbers stay whole up to the largest", () => {
  const at = request("a", { isLabels: true, width: 1, height: 1 });
  for (const label of [70007, 2 ** 24 + 1, 2 ** 31 + 5, 2 ** 32 - 1]) {
    expect(valueAt(decode(new Uint32Array(9).fill(label).buffer, at), 0, 0)).toBe(label);
  }
});

test("the apron is not part of the tile", () => {
  const at = request("a", { isLabels: true, width: 2, height: 2 });
  const tile = decode(new Uint32Array([9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9]).buffer, at);
  expect([valueAt(tile, 0, 0), valueAt(tile, 1, 0), valueAt(tile, 0, 1), valueAt(tile, 1, 1)]).toEqual([1, 2, 3, 4]);
});

test("what is at hand is the finest there is, and says whether it is exact", async () => {
  const store = new TileStore(() => undefined, 1e9, fetchTile);
  expect(valueAtHand(IMAGE, store, requestOf, 301, 150)).toBeNull();
  await store.load(requestOf(tileAt(IMAGE, 1, 301, 150).tile));
  expect(valueAtHand(IMAGE, store, requestOf, 301, 150)).toEqual({ value: labelOf(300, 150), isExact: false });
  await store.load(requestOf(tileAt(IMAGE, 0, 301, 150).tile));
  expect(valueAtHand(IMAGE, store, requestOf, 301, 150)).toEqual({ value: labelOf(301, 150), isExact: true });
});
