// Where one looks at an image from: moving, zooming, and from the screen to the image and back.

/** The image point in the middle of the view, and CSS pixels per image pixel. */
export interface Camera {
  readonly x_px: number;
  readonly y_px: number;
  readonly scale: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Beyond that a pixel is a tile of the floor. */
const MOST_SCALE = 64;
/** Part of the view that a fitted image takes up when one has zoomed out as far as it goes. */
const LEAST_PART = 0.25;

/** A rectangle in pixels of the full image. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export function fit({ left, top, right, bottom }: Box, view: Size): Camera {
  const size = { width: right - left, height: bottom - top };
  return { x_px: (left + right) / 2, y_px: (top + bottom) / 2, scale: fittedScale(size, view) };
}

function fittedScale(image: Size, view: Size): number {
  const scale = Math.min(view.width / image.width, view.height / image.height);
  return scale > 0 && Number.isFinite(scale) ? Math.min(scale, MOST_SCALE) : 1;
}

export function toImage(camera: Camera, view: Size, point: Point): Point {
  return {
    x: camera.x_px + (point.x - view.width / 2) / camera.scale,
    y: camera.y_px + (point.y - view.height / 2) / camera.scale,
  };
}

export function toScreen(camera: Camera, view: Size, point: Point): Point {
  return {
    x: (point.x - camera.x_px) * camera.scale + view.width / 2,
    y: (point.y - camera.y_px) * camera.scale + view.height / 2,
  };
}

/** Zoomed so that what is below `point` of the screen stays there. */
export function zoomed(camera: Camera, factor: number, point: Point, view: Size, image: Size): Camera {
  const least = Math.min(1, fittedScale(image, view)) * LEAST_PART;
  const scale = clamp(camera.scale * factor, least, MOST_SCALE);
  const held = toImage(camera, view, point);
  return within({
    x_px: held.x - (point.x - view.width / 2) / scale,
    y_px: held.y - (point.y - view.height / 2) / scale,
    scale,
  }, image);
}

/** The image dragged by (dx, dy) CSS pixels. */
export function dragged(camera: Camera, dx: number, dy: number, image: Size): Camera {
  const { x_px, y_px, scale } = camera;
  return within({ x_px: x_px - dx / scale, y_px: y_px - dy / scale, scale }, image);
}

/** Two fingers moved: what was below each of them stays there, as far as that goes without turning. */
export function pinched(
  camera: Camera, from: [Point, Point], to: [Point, Point], view: Size, image: Size,
): Camera {
  const [before, after] = [middle(from), middle(to)];
  const moved = dragged(camera, after.x - before.x, after.y - before.y, image);
  const spread = distance(from);
  return spread > 0 ? zoomed(moved, distance(to) / spread, after, view, image) : moved;
}

/** The camera over (y, x), at least so near that `size_px` is a good part of the view. */
export function centred(camera: Camera, at: Point, size_px: number, view: Size): Camera {
  const near = Math.min(view.width, view.height) / (12 * Math.max(1, size_px));
  return { x_px: at.x, y_px: at.y, scale: Math.max(camera.scale, Math.min(near, 4)) };
}

/** The middle of the view stays over the image, so that nobody loses it. */
function within(camera: Camera, image: Size): Camera {
  return {
    x_px: clamp(camera.x_px, 0, image.width),
    y_px: clamp(camera.y_px, 0, image.height),
    scale: camera.scale,
  };
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

function middle([a, b]: [Point, Point]): Point {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

function distance([a, b]: [Point, Point]): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
