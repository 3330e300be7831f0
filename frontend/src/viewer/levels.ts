// Which level of an image, and which of its tiles, a view needs.

import type { ImageInfo } from "./shapes";
import { type Box, type Camera, clamp, type Size, toImage } from "./camera";

export interface Tile {
  readonly level: number;
  readonly row: number;
  readonly column: number;
}

/** A level may be drawn so much larger than it is before the next finer one is fetched. */
const MOST_ENLARGED = 1.25;

/** Pixels of the full image per pixel of a level: each level is half of the one before. */
export function factorOf(level: number): number {
  return 2 ** level;
}

/** The coarsest level that is sharp at `scale` device pixels per image pixel. */
export function levelFor(image: ImageInfo, scale: number): number {
  const last = image.levels.length - 1;
  const wanted = Math.floor(Math.log2(MOST_ENLARGED / scale));
  return clamp(wanted, 0, last);
}

export function imageSize(image: ImageInfo): Size {
  const { width_px, height_px } = image.levels[0]!;
  return { width: width_px, height: height_px };
}

/** Width and height of a tile in pixels of its level; tiles at the edge are cut there. */
export function tileSize(image: ImageInfo, tile: Tile): Size {
  const { width_px, height_px } = image.levels[tile.level]!;
  return {
    width: Math.min(image.tile_px, width_px - tile.column * image.tile_px),
    height: Math.min(image.tile_px, height_px - tile.row * image.tile_px),
  };
}

/** What a tile shows. The last row and column reach to the edge of the image, however it was halved. */
export function boxOf(image: ImageInfo, tile: Tile): Box {
  const { width_px, height_px } = image.levels[tile.level]!;
  const { width, height } = imageSize(image);
  const edge = image.tile_px * factorOf(tile.level);
  const isLastColumn = (tile.column + 1) * image.tile_px >= width_px;
  const isLastRow = (tile.row + 1) * image.tile_px >= height_px;
  return {
    left: tile.column * edge,
    top: tile.row * edge,
    right: isLastColumn ? width : (tile.column + 1) * edge,
    bottom: isLastRow ? height : (tile.row + 1) * edge,
  };
}

/** The tiles of a level that can be seen, those in the middle first. */
export function visibleTiles(image: ImageInfo, level: number, camera: Camera, view: Size): Tile[] {
  const { width_px, height_px } = image.levels[level]!;
  const edge = image.tile_px * factorOf(level);
  const first = toImage(camera, view, { x: 0, y: 0 });
  const last = toImage(camera, view, { x: view.width, y: view.height });
  const columns = places(first.x, last.x, edge, Math.ceil(width_px / image.tile_px));
  const rows = places(first.y, last.y, edge, Math.ceil(height_px / image.tile_px));
  const tiles = rows.flatMap((row) => columns.map((column) => ({ level, row, column })));
  const far = ({ row, column }: Tile) =>
    Math.hypot((column + 0.5) * edge - camera.x_px, (row + 0.5) * edge - camera.y_px);
  return tiles.sort((a, b) => far(a) - far(b));
}

function places(from: number, to: number, edge: number, count: number): number[] {
  const first = Math.max(0, Math.floor(from / edge));
  const last = Math.min(count - 1, Math.ceil(to / edge) - 1);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

/** The tile of a coarser level that has the whole of this tile in it. */
export function coarser(tile: Tile, level: number): Tile {
  const by = level - tile.level;
  return { level, row: tile.row >> by, column: tile.column >> by };
}

/** The tile that has the pixel (y, x) of the full image, and where it is in there. */
export function tileAt(image: ImageInfo, level: number, x_px: number, y_px: number) {
  const { width_px, height_px } = image.levels[level]!;
  const x = Math.min(width_px - 1, Math.floor(x_px / factorOf(level)));
  const y = Math.min(height_px - 1, Math.floor(y_px / factorOf(level)));
  const tile = { level, row: Math.floor(y / image.tile_px), column: Math.floor(x / image.tile_px) };
  return { tile, x: x % image.tile_px, y: y % image.tile_px };
}
