// From the bytes of a tile to numbers. Typed arrays and the server are both little-endian.

import type { TileRequest } from "./addresses";

/** Labels come with a pixel of their neighbours around them, so that outlines have no seams. */
export const APRON_PX = 1;

export interface TileData {
  /** Without the apron. */
  readonly width: number;
  readonly height: number;
  /** Rows of `width` values, or of `width` + 2 for labels. */
  readonly values: Uint16Array | Uint32Array;
  readonly isLabels: boolean;
}

export function bytesOf({ width, height, isLabels }: TileRequest): number {
  const apron = isLabels ? 2 * APRON_PX : 0;
  return (width + apron) * (height + apron) * (isLabels ? 4 : 2);
}

/** Throws: the server sent another number of bytes than the tile has. */
export function decode(bytes: ArrayBuffer, request: TileRequest): TileData {
  const { width, height, isLabels } = request;
  const wanted = bytesOf(request);
  if (bytes.byteLength !== wanted) {
    throw new RangeError(`A tile has ${bytes.byteLength} bytes instead of ${wanted}.`);
  }
  const values = isLabels ? new Uint32Array(bytes) : new Uint16Array(bytes);
  return { width, height, values, isLabels };
}

/** The value at column x and row y of a tile. */
export function valueAt(tile: TileData, x: number, y: number): number {
  if (!tile.isLabels) return tile.values[y * tile.width + x] ?? 0;
  return tile.values[(y + APRON_PX) * (tile.width + 2 * APRON_PX) + x + APRON_PX] ?? 0;
}
