// The thumbnail of an image with a frame around the piece that is looked at.

import type { InspectedImage, Region } from "../api/types";
import { thumbnailUrl } from "../files/Thumbnail";

// Of the image, by an arrow key.
const STEP = 0.05;
const WAYS: Record<string, [number, number]> = {
  ArrowUp: [-STEP, 0], ArrowDown: [STEP, 0], ArrowLeft: [0, -STEP], ArrowRight: [0, STEP],
};

/** A place as shares of height and width, 0 to 1. */
export interface Place {
  y: number;
  x: number;
}

interface Props {
  image: InspectedImage;
  region: Region;
  centre: Place;
  onMove: (place: Place) => void;
}

export function PlacePicker({ image, region, centre, onMove }: Props) {
  const url = thumbnailUrl(image);
  const [width, height] = [region.max_x_px - region.min_x_px, region.max_y_px - region.min_y_px];
  const isWhole = width === image.size_x && height === image.size_y;
  if (!url || isWhole) return null;
  const move = (y: number, x: number): void =>
    onMove({ y: Math.min(1, Math.max(0, y)), x: Math.min(1, Math.max(0, x)) });
  const share = (value: number, size: number): string => `${(100 * value) / size}%`;
  return (
    <button type="button" class="place" title="Click where to look"
      aria-label="Place of the preview: click it, or use the arrow keys"
      onKeyDown={(event) => {
        const way = WAYS[event.key];
        if (!way) return;
        event.preventDefault();
        move(centre.y + way[0], centre.x + way[1]);
      }}
      onClick={(event) => {
        if (event.detail === 0) return; // by the keyboard, where the arrows move
        const box = event.currentTarget.getBoundingClientRect();
        move((event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width);
      }}>
      <img src={url} alt="" />
      <span class="place-frame" style={{
        left: share(region.min_x_px, image.size_x),
        top: share(region.min_y_px, image.size_y),
        width: share(width, image.size_x),
        height: share(height, image.size_y),
      }} />
    </button>
  );
}
