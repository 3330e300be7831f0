// The JSON that the server answers with about pictures and figures.

export interface Sizes {
  t: number;
  c: number;
  z: number;
  y: number;
  x: number;
}

export interface Level {
  width_px: number;
  height_px: number;
}

export interface Channel {
  name: string;
  /** "#RRGGBB", or "" where the file says none. */
  color: string;
  /** Real value = offset + scale * stored value. */
  offset: number;
  scale: number;
  /** Good limits of contrast, in stored units. */
  low: number;
  high: number;
}

export interface ImageInfo {
  sizes: Sizes;
  dtype: string;
  is_rgb: boolean;
  tile_px: number;
  /** Full size first, each half of the one before. */
  levels: Level[];
  channels: Channel[];
  shown_channels: number[];
  pixel_size_um: [number, number] | null;
  z_step_um: number | null;
  frame_interval_s: number | null;
  /** null: labels exist for every plane; a list of [t, z]: only for these. */
  label_planes: [number, number][] | null;
  has_labels: boolean;
  has_instances: boolean;
  has_tracks: boolean;
  labels_are_volumes: boolean;
}

export interface Column {
  name: string;
  unit: string;
  meaning: string;
}

export type Cell = number | string | null;

export interface InstanceRows {
  /** The first one is the label as in the label image: `label` or `track`. */
  columns: Column[];
  rows: Cell[][];
  truncated: boolean;
}

export interface PlaneCount {
  t: number;
  /** null where instances are volumes. */
  z: number | null;
  instances: number;
}

export interface Histogram {
  column: string;
  title: string;
  unit: string;
  edges: number[];
  counts: number[];
}

export interface Statistics {
  planes: PlaneCount[];
  histograms: Histogram[];
  /** There are more planes than these. */
  truncated?: boolean;
}

export interface Track {
  track: number;
  parent: number;
  first_t: number;
  last_t: number;
}

export interface Lineage {
  tracks: Track[];
}

/** Columns of equal length, by track, then t. */
export interface TrackPoints {
  track: number[];
  t: number[];
  y_px: number[];
  x_px: number[];
}

export interface ComparedPlane {
  t: number;
  z: number | null;
  f1: number;
  instances: number;
  others: number;
}

export interface Comparison {
  iou: number[];
  f1: number[];
  precision: number[];
  recall: number[];
  ap: number[];
  planes: ComparedPlane[];
  instances: number;
  others: number;
}
