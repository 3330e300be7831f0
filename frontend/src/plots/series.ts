// From the server's numbers to what is plotted.

import { inWords, unitInWords } from "../viewer/numbers";
import type { Histogram, PlaneCount } from "../viewer/shapes";

export interface Series {
  readonly title: string;
  readonly x_title: string;
  readonly y_title: string;
  readonly x: number[];
  readonly y: number[];
  /** There is nothing between two whole numbers, such as frames. */
  readonly isWhole: boolean;
  /** Each y counts what lies between its x and the next one. */
  readonly isHistogram: boolean;
  /** What it comes to, in a sentence: for a glance, and for screen readers. */
  readonly note: string;
  /** What stands in the table of numbers beside each y. */
  readonly x_texts: string[];
}

/** Instances over time, or over depth where there is one time; null for a single plane. */
export function counts(planes: PlaneCount[]): Series | null {
  const isMovie = new Set(planes.map(({ t }) => t)).size > 1;
  const places = planes.map(({ t, z }) => (isMovie ? t : (z ?? 0)));
  const sums = new Map<number, number>();
  planes.forEach(({ instances }, i) => sums.set(places[i]!, (sums.get(places[i]!) ?? 0) + instances));
  if (sums.size < 2) return null;
  const x = [...sums.keys()].sort((a, b) => a - b);
  const y = x.map((at) => sums.get(at)!);
  return {
    title: isMovie ? "Instances per frame" : "Instances per plane",
    x_title: isMovie ? "frame" : "plane",
    y_title: "instances",
    x,
    y,
    isWhole: true,
    isHistogram: false,
    note: `From ${inWords(Math.min(...y))} to ${inWords(Math.max(...y))} in ${y.length} ${isMovie ? "frames" : "planes"}.`,
    x_texts: x.map(String),
  };
}

export function distribution({ title, unit, edges, counts: y }: Histogram): Series {
  return {
    title,
    x_title: unitInWords(unit) || title,
    y_title: "count",
    x: edges,
    // Steps go from each edge to the next: the last edge needs a value, too.
    y: [...y, y.at(-1) ?? 0],
    isWhole: false,
    isHistogram: true,
    note: middleOf(edges, y),
    x_texts: y.map((_, i) => `${inWords(edges[i]!)} to ${inWords(edges[i + 1]!)}`),
  };
}

/** How many values there are, and where half of them lie below. */
function middleOf(edges: number[], bins: number[]): string {
  const total = bins.reduce((sum, count) => sum + count, 0);
  if (total === 0) return "There are none.";
  let seen = 0;
  const at = bins.findIndex((count) => (seen += count) >= total / 2);
  const middle = (edges[at]! + edges[at + 1]!) / 2;
  return `${inWords(total)} values; half of them below about ${inWords(Number(middle.toPrecision(3)))}.`;
}
