// Where on the server the tiles of an image and of its labels are.

import { API } from "../api/client";
import type { ImageInfo } from "./shapes";
import { type Tile, tileSize } from "./levels";

export interface Plane {
  readonly t: number;
  readonly z: number;
}

export interface TileRequest {
  /** Also the name under which the tile is kept. */
  readonly path: string;
  readonly isLabels: boolean;
  /** Pixels of the level, without the apron of labels. */
  readonly width: number;
  readonly height: number;
}

/**
 * A path for the client, which adds the API's own address. A query of `base`, such as how to read an
 * upload, stays at the end.
 */
export function below(base: string, path: string): string {
  const [place = "", query] = (base.startsWith(API) ? base.slice(API.length) : base).split("?", 2);
  if (query === undefined) return place + path;
  return `${place}${path}${path.includes("?") ? "&" : "?"}${query}`;
}

export function imageTile(base: string, image: ImageInfo, plane: Plane, channel: number, tile: Tile): TileRequest {
  const path = `/image/${tile.level}/${plane.t}/${plane.z}/${channel}/${tile.row}/${tile.column}`;
  return { path: below(base, path), isLabels: false, ...tileSize(image, tile) };
}

export function labelTile(base: string, image: ImageInfo, plane: Plane, tile: Tile): TileRequest {
  const path = `/labels/${tile.level}/${plane.t}/${plane.z}/${tile.row}/${tile.column}`;
  return { path: below(base, path), isLabels: true, ...tileSize(image, tile) };
}

/** Whether a plane was segmented. */
export function hasLabels(image: ImageInfo, { t, z }: Plane): boolean {
  if (!image.has_labels) return false;
  return image.label_planes?.some(([t_, z_]) => t_ === t && z_ === z) ?? true;
}
