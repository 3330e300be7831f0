// The middle plane of an image, small.

import type { InspectedImage } from "../api/types";

export const thumbnailUrl = (image: InspectedImage | null): string =>
  image?.thumbnail ? `data:image/png;base64,${image.thumbnail}` : "";

export function Thumbnail({ image }: { image: InspectedImage | null }) {
  const url = thumbnailUrl(image);
  // What it shows is said beside it.
  return <span class="thumbnail">{url && <img src={url} alt="" loading="lazy" />}</span>;
}
