// A movie that nobody took: its pixels and labels are formulas, so a test knows every one of them.

export const SIZES = { t: 5, c: 2, z: 1, y: 2000, x: 3000 };
export const TILE_PX = 256;
export const LEVELS = [0, 1, 2, 3].map((level) => ({
  width_px: Math.ceil(SIZES.x / 2 ** level),
  height_px: Math.ceil(SIZES.y / 2 ** level),
}));
const SPACING_PX = 100;
const RADIUS_PX = 38;
const COLUMNS = SIZES.x / SPACING_PX;
const SHIFT_PX = 7;
/** Numbers that a float, or sixteen bits, would not keep. */
const LARGE = new Map([[11, 70007], [42, 2 ** 24 + 1], [77, 2 ** 31 + 5], [128, 4294967295]]);

export interface MadeUpCell {
  label: number;
  y: number;
  x: number;
}

/** Every cell of a frame; cells walk to the right. */
export function cells(t: number): MadeUpCell[] {
  const count = COLUMNS * (SIZES.y / SPACING_PX);
  return Array.from({ length: count }, (_, i) => cellAt(i, t));
}

function cellAt(i: number, t: number): MadeUpCell {
  return {
    label: LARGE.get(i + 1) ?? i + 1,
    y: Math.floor(i / COLUMNS) * SPACING_PX + SPACING_PX / 2,
    x: (i % COLUMNS) * SPACING_PX + SPACING_PX / 2 + t * SHIFT_PX - 14,
  };
}

export function labelAt(t: number, y: number, x: number): number {
  if (y < 0 || x < 0 || y >= SIZES.y || x >= SIZES.x) return 0;
  const column = Math.floor((x - t * SHIFT_PX + 14) / SPACING_PX);
  if (column < 0 || column >= COLUMNS) return 0;
  const cell = cellAt(Math.floor(y / SPACING_PX) * COLUMNS + column, t);
  return Math.hypot(y - cell.y, x - cell.x) < RADIUS_PX ? cell.label : 0;
}

export function storedAt(t: number, c: number, y: number, x: number): number {
  const ground = 200 + ((y * 7 + x * 13) % 50);
  const label = labelAt(t, y, x);
  if (label === 0) return ground;
  return c === 0 ? 2200 + (label % 7) * 180 + ((x * y) % 90) : 600 + (label % 3) * 500;
}

type ValueAt = (y: number, x: number) => number;

function window_(level: number, row: number, column: number) {
  const { width_px, height_px } = LEVELS[level]!;
  return {
    width: Math.min(TILE_PX, width_px - column * TILE_PX),
    height: Math.min(TILE_PX, height_px - row * TILE_PX),
    top: row * TILE_PX,
    left: column * TILE_PX,
  };
}

export function imageTile(level: number, valueAt: ValueAt, row: number, column: number): Uint16Array {
  const { width, height, top, left } = window_(level, row, column);
  return Uint16Array.from({ length: width * height }, (_, i) =>
    valueAt((top + Math.floor(i / width)) << level, (left + (i % width)) << level));
}

export function labelTile(level: number, valueAt: ValueAt, row: number, column: number): Uint32Array {
  const { width, height, top, left } = window_(level, row, column);
  const across = width + 2;
  return Uint32Array.from({ length: across * (height + 2) }, (_, i) =>
    valueAt((top + Math.floor(i / across) - 1) * 2 ** level, (left + (i % across) - 1) * 2 ** level));
}

export const IMAGE = {
  sizes: SIZES, dtype: "uint16", is_rgb: false, tile_px: TILE_PX, levels: LEVELS,
  channels: [
    { name: "DAPI", color: "", offset: 0, scale: 1, low: 150, high: 3600 },
    { name: "GFP", color: "", offset: -10, scale: 0.5, low: 150, high: 2400 },
  ],
  shown_channels: [0, 1], pixel_size_um: [0.325, 0.325], z_step_um: null, frame_interval_s: 300,
  label_planes: null, has_labels: true, has_instances: true, has_tracks: true, labels_are_volumes: false,
};

export function instances(t: number) {
  const columns = [
    { name: "track", unit: "", meaning: "number of the track" },
    { name: "y_px", unit: "px", meaning: "centroid, row" },
    { name: "x_px", unit: "px", meaning: "centroid, column" },
    { name: "area_um2", unit: "um2", meaning: "area in square micrometres" },
    { name: "mean_intensity_DAPI", unit: "", meaning: "mean of the grey values" },
  ];
  const rows = cells(t).map(({ label, y, x }) => [label, y - 0.5, x - 0.5, 479.2 + (label % 10), label % 5 ? 2500.25 : null]);
  return { columns, rows, truncated: false };
}

export function tracks(first_t: number, last_t: number) {
  const last = Math.min(last_t, SIZES.t - 1);
  const rows = cells(0).flatMap((_, i) =>
    Array.from({ length: last - first_t + 1 }, (_, k) => ({ ...cellAt(i, first_t + k), t: first_t + k })));
  return {
    track: rows.map(({ label }) => label), t: rows.map(({ t }) => t),
    y_px: rows.map(({ y }) => y - 0.5), x_px: rows.map(({ x }) => x - 0.5),
  };
}
