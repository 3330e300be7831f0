// What tests of the viewer make up.

import type { TileRequest } from "./addresses";
import type { ImageInfo } from "./shapes";

export function madeUpImage(change: Partial<ImageInfo> = {}, x = 3001, y = 2000): ImageInfo {
  const levels = [{ width_px: x, height_px: y }];
  for (let last = levels[0]!; Math.max(last.width_px, last.height_px) > 512; last = levels.at(-1)!) {
    levels.push({ width_px: Math.ceil(last.width_px / 2), height_px: Math.ceil(last.height_px / 2) });
  }
  return {
    sizes: { t: 1, c: 1, z: 1, y, x }, dtype: "uint16", is_rgb: false, tile_px: 256, levels,
    channels: [{ name: "", color: "", offset: 0, scale: 1, low: 0, high: 1000 }], shown_channels: [0],
    pixel_size_um: null, z_step_um: null, frame_interval_s: null, label_planes: null,
    has_labels: true, has_instances: true, has_tracks: false, labels_are_volumes: false, ...change,
  };
}

export function request(path: string, change: Partial<TileRequest> = {}): TileRequest {
  return { path, isLabels: false, width: 4, height: 4, ...change };
}

/** Bytes of a tile with every value `value`. */
export function bytesOfTile({ width, height, isLabels }: TileRequest, value = 7): ArrayBuffer {
  return isLabels
    ? new Uint32Array((width + 2) * (height + 2)).fill(value).buffer
    : new Uint16Array(width * height).fill(value).buffer;
}
