// Which stored values are black and which are as bright as it gets.

import { clamp } from "./camera";
import type { TileData } from "./decoding";

export interface Limits {
  readonly low: number;
  readonly high: number;
}

const MOST = 65535;
/** So many of the pixels may be black, or as bright as it gets, after "auto". */
const DARK_PART = 0.005;
const BRIGHT_PART = 0.002;

/** Limits from what is in view: nearly all of its values lie between them. */
export function autoLimits(tiles: TileData[]): Limits | null {
  const counts = new Uint32Array(MOST + 1);
  let total = 0;
  for (const { values } of tiles) {
    for (const value of values) counts[value]!++;
    total += values.length;
  }
  if (total === 0) return null;
  const low = placeOf(counts, total * DARK_PART);
  const high = placeOf(counts, total * (1 - BRIGHT_PART));
  return { low, high: Math.max(high, low + 1) };
}

function placeOf(counts: Uint32Array, wanted: number): number {
  let seen = 0;
  for (let value = 0; value < counts.length; value++) {
    seen += counts[value]!;
    if (seen > wanted) return value;
  }
  return counts.length - 1;
}

/** Where the sliders end: cameras of 12 bits would use a sliver of a slider for 16. */
export function sliderEnd(dtype: string, high: number): number {
  if (/^u?int8$/.test(dtype)) return 255;
  let end = 255;
  while (end < high * 2 && end < MOST) end = end * 2 + 1;
  return end;
}

/** Limits with one of them moved: they never cross. */
export function withLow({ high }: Limits, low: number): Limits {
  return { low: clamp(low, 0, high - 1), high };
}

export function withHigh({ low }: Limits, high: number): Limits {
  return { low, high: clamp(high, low + 1, MOST) };
}

/** How bright a stored value is shown, 0 to 1; the shader does the same. */
export function brightness({ low, high }: Limits, stored: number): number {
  return clamp((stored - low) / Math.max(1, high - low), 0, 1);
}
