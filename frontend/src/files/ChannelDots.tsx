// The channels of an image by name, each with the usual colour of its stain.

import type { InspectedImage } from "../api/types";
import { stainOf } from "./stain";

export function ChannelDots({ image, chosen }: { image: InspectedImage; chosen: string }) {
  if (image.is_rgb || image.size_c < 2) return null;
  return (
    <ul class="channels" aria-label="Channels">
      {image.channel_names.map((name, number) => (
        <li key={number} data-stain={stainOf(name)} class={isChosen(name, number, chosen) ? "chosen" : ""}>
          {name || `channel ${number}`}
        </li>
      ))}
    </ul>
  );
}

const isChosen = (name: string, number: number, chosen: string): boolean =>
  chosen !== "" && (chosen === name || chosen === String(number));
