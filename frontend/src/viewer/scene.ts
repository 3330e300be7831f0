// What is to be drawn of a plane, and which tiles that takes.

import { imageTile, labelTile, type Plane, type TileRequest } from "./addresses";
import type { Box, Camera, Size } from "./camera";
import type { Limits } from "./contrast";
import { boxOf, coarser, factorOf, levelFor, type Tile, visibleTiles } from "./levels";
import type { ImageInfo } from "./shapes";

/** A rectangle of the image, drawn from a tile of any level. */
export interface Quad {
  readonly box: Box;
  readonly request: TileRequest;
  /** Image pixels per pixel of the tile. */
  readonly factor: number;
  /** Where the tile begins, in image pixels. */
  readonly left: number;
  readonly top: number;
}

export interface Layer {
  readonly quads: Quad[];
  /** Every visible place has something to show, if only from a coarser level. */
  readonly isCovered: boolean;
  /** Every visible place is as sharp as it can be. */
  readonly isSharp: boolean;
}

export interface ChannelLayer extends Layer, Limits {
  readonly colour: string;
}

export interface LabelLayer extends Layer {
  /** The labels to compare with: one colour, outlines only. */
  readonly isOther: boolean;
}

export interface Scene {
  readonly plane: Plane;
  readonly channels: ChannelLayer[];
  readonly labels: LabelLayer[];
}

/** What the tile store knows. */
export interface Known {
  has(path: string): boolean;
  isLost(path: string): boolean;
}

export interface Looks {
  readonly channel: number;
  readonly colour: string;
  readonly limits: Limits;
}

export interface Shown {
  readonly image: ImageInfo;
  readonly base: string;
  /** Visible channels. */
  readonly channels: Looks[];
  /** Where labels come from; with none there are no labels. */
  readonly labelBases: { base: string; isOther: boolean }[];
}

type RequestOf = (tile: Tile) => TileRequest;

/** The tiles to fetch for a view, the most urgent first: first the coarsest, so that something is seen. */
export function neededTiles(shown: Shown, plane: Plane, camera: Camera, view: Size, ratio: number): TileRequest[] {
  const level = levelFor(shown.image, camera.scale * ratio);
  const coarsest = shown.image.levels.length - 1;
  const requestOfs = layersOf(shown, plane);
  const of = (tiles: Tile[]) => tiles.flatMap((tile) => requestOfs.map((requestOf) => requestOf(tile)));
  const fine = of(visibleTiles(shown.image, level, camera, view));
  return level === coarsest ? fine : [...of(visibleTiles(shown.image, coarsest, camera, view)), ...fine];
}

function layersOf({ image, base, channels, labelBases }: Shown, plane: Plane): RequestOf[] {
  return [
    ...channels.map(({ channel }) => (tile: Tile) => imageTile(base, image, plane, channel, tile)),
    ...labelBases.map((labels) => (tile: Tile) => labelTile(labels.base, image, plane, tile)),
  ];
}

/** What can be drawn now of a view. */
export function sceneOf(
  shown: Shown, plane: Plane, camera: Camera, view: Size, ratio: number, known: Known,
): Scene {
  const { image, base } = shown;
  const tiles = visibleTiles(image, levelFor(image, camera.scale * ratio), camera, view);
  const channels = shown.channels.map(({ channel, colour, limits }) => ({
    ...layer(image, tiles, (tile) => imageTile(base, image, plane, channel, tile), known),
    colour,
    ...limits,
  }));
  const labels = shown.labelBases.map((source) => ({
    ...layer(image, tiles, (tile) => labelTile(source.base, image, plane, tile), known),
    isOther: source.isOther,
  }));
  return { plane, channels, labels };
}

export function layersIn({ channels, labels }: Scene): Layer[] {
  return [...channels, ...labels];
}

function layer(image: ImageInfo, tiles: Tile[], requestOf: RequestOf, known: Known): Layer {
  const quads: Quad[] = [];
  let isCovered = true;
  let isSharp = true;
  for (const tile of tiles) {
    const best = bestOf(image, tile, requestOf, known);
    if (best) quads.push(best);
    const isLost = known.isLost(requestOf(tile).path);
    if (!best && !isLost) isCovered = false;
    if (best?.factor !== factorOf(tile.level) && !isLost) isSharp = false;
  }
  return { quads, isCovered, isSharp };
}

/** A tile itself, or the piece of a coarser one that shows the same. */
function bestOf(image: ImageInfo, tile: Tile, requestOf: RequestOf, known: Known): Quad | null {
  for (let level = tile.level; level < image.levels.length; level++) {
    const source = coarser(tile, level);
    const request = requestOf(source);
    if (!known.has(request.path)) continue;
    const { left, top } = boxOf(image, source);
    return { box: boxOf(image, tile), request, factor: factorOf(level), left, top };
  }
  return null;
}
