// The value of one pixel, out of the numbers that the server sent: never out of what is drawn.

import type { TileRequest } from "./addresses";
import { valueAt } from "./decoding";
import { type Tile, tileAt } from "./levels";
import type { ImageInfo } from "./shapes";
import type { TileStore } from "./tiles";

export interface PixelValue {
  readonly value: number;
  /** False: from a smaller version of the image, as what is seen. */
  readonly isExact: boolean;
}

type RequestOf = (tile: Tile) => TileRequest;

export function isInside(image: ImageInfo, x_px: number, y_px: number): boolean {
  const { width_px, height_px } = image.levels[0]!;
  return x_px >= 0 && y_px >= 0 && x_px < width_px && y_px < height_px;
}

/** From the finest tile at hand; null where there is none. */
export function valueAtHand(
  image: ImageInfo, store: TileStore, requestOf: RequestOf, x_px: number, y_px: number,
): PixelValue | null {
  for (let level = 0; level < image.levels.length; level++) {
    const place = tileAt(image, level, x_px, y_px);
    const data = store.get(requestOf(place.tile).path);
    if (data) return { value: valueAt(data, place.x, place.y), isExact: level === 0 };
  }
  return null;
}

/** At full size, fetched if need be. */
export async function exactValue(
  image: ImageInfo, store: TileStore, requestOf: RequestOf, x_px: number, y_px: number, signal?: AbortSignal,
): Promise<number> {
  const place = tileAt(image, 0, x_px, y_px);
  return valueAt(await store.load(requestOf(place.tile), signal), place.x, place.y);
}
