// Order of rows by a column.

import type { Cell } from "./shapes";

export interface Sorting {
  readonly column: number;
  readonly isDescending: boolean;
}

/** Places of rows in the wanted order; what is not known comes last, either way. */
export function sorted(rows: Cell[][], { column, isDescending }: Sorting): number[] {
  const sign = isDescending ? -1 : 1;
  return rows.map((_, i) => i).sort((a, b) => {
    const [x, y] = [rows[a]![column] ?? null, rows[b]![column] ?? null];
    if (x === null || y === null) return x === y ? a - b : x === null ? 1 : -1;
    return sign * compared(x, y) || a - b;
  });
}

function compared(x: number | string, y: number | string): number {
  if (typeof x === "number" && typeof y === "number") return x - y;
  return String(x).localeCompare(String(y));
}

/** A click on a column: sort by it, the next time the other way round. */
export function clicked(before: Sorting, column: number): Sorting {
  return { column, isDescending: before.column === column && !before.isDescending };
}
