// The table of a plane: what was measured of each of its instances.

import { signal } from "@preact/signals";

import { getJson } from "../api/client";
import { isAbort, sentenceOf } from "../api/problem";
import { below, type Plane } from "./addresses";
import { Lru } from "./lru";
import type { Cell, Column, InstanceRows } from "./shapes";

/** In numbers of a table; going to and fro in a movie asks once. */
const MOST_CELLS = 4_000_000;
/** A slider on its way asks for no tables that nobody sees. */
const SETTLE_MS = 120;

export interface PlaneTable {
  readonly plane: Plane;
  readonly columns: Column[];
  readonly rows: Cell[][];
  readonly isTruncated: boolean;
  readonly byLabel: ReadonlyMap<number, Cell[]>;
}

export class Measurements {
  readonly table = signal<PlaneTable | null>(null);
  readonly problem = signal("");
  readonly #kept = new Lru<PlaneTable>(MOST_CELLS);
  #stopper = new AbortController();

  constructor(readonly base: string) {}

  async show(plane: Plane): Promise<void> {
    this.#stopper.abort();
    const { signal } = (this.#stopper = new AbortController());
    const key = `${plane.t}/${plane.z}`;
    const known = this.#kept.get(key);
    this.problem.value = "";
    if (known) {
      this.table.value = known;
      return;
    }
    this.table.value = null;
    try {
      await settled(signal);
      const table = tableOf(plane, await getJson<InstanceRows>(this.#path(plane), signal));
      this.#kept.set(key, table, table.rows.length * table.columns.length);
      if (!signal.aborted) this.table.value = table;
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) this.problem.value = sentenceOf(error);
    }
  }

  #path({ t, z }: Plane): string {
    return below(this.base, `/instances?t=${t}&z=${z}`);
  }

  /** No plane is looked at closely, as while a movie plays. */
  clear(): void {
    this.#stopper.abort();
    this.table.value = null;
  }

  close(): void {
    this.#stopper.abort();
  }
}

function settled(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, SETTLE_MS);
    signal.addEventListener("abort", () => reject(new DOMException("Not wanted any more", "AbortError")));
  });
}

export function tableOf(plane: Plane, { columns, rows, truncated }: InstanceRows): PlaneTable {
  const byLabel = new Map(rows.map((row) => [Number(row[0]), row]));
  return { plane, columns, rows, isTruncated: truncated, byLabel };
}

/** Those that say most about an instance at a glance: its size, best in µm, and mean intensities. */
export function mainColumns(columns: Column[]): number[] {
  const sizes = ["volume_um3", "area_um2", "volume_px", "area_px"];
  const size = sizes.map((name) => columns.findIndex((column) => column.name === name)).find((at) => at >= 0);
  const means = columns.flatMap(({ name }, at) => (name.startsWith("mean_intensity") ? [at] : []));
  return [...(size === undefined ? [] : [size]), ...means.slice(0, 3)];
}

/** "mean_intensity_DAPI" as "mean intensity DAPI"; the unit is said beside the number. */
export function titleOf({ name, unit }: Column): string {
  const ending = `_${unit.replace("µ", "u").replace("²", "2").replace("³", "3")}`;
  const bare = unit && name.endsWith(ending) ? name.slice(0, -ending.length) : name;
  return bare.replace(/_(px|um2?3?|rad)$/, "").replaceAll("_", " ");
}

/** Where an instance is, in image pixels from the image's corner; null if the table has no centroids. */
export function centroidOf({ columns, byLabel }: PlaneTable, label: number) {
  const row = byLabel.get(label);
  const [y, x] = ["y_px", "x_px"].map((name) => row?.[columns.findIndex((column) => column.name === name)]);
  // Tables count from the centre of the first pixel.
  return typeof y === "number" && typeof x === "number" ? { x: x + 0.5, y: y + 0.5 } : null;
}
