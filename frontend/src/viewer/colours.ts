// Colours: of labels, and of channels for which the file says none.

import type { ImageInfo } from "./shapes";

export type Rgb = readonly [number, number, number];

/** The shader has the same steps: the golden ratio of 2^32 puts neighbouring numbers far apart. */
export const GOLDEN = 0x9e3779b1;
export const PALETTE_SIZE = 256;
const LIGHTNESS = [0.6, 0.7, 0.52];

export function paletteIndex(label: number): number {
  return Math.imul(label, GOLDEN) >>> 24;
}

/** Red, green and blue bytes of each colour, one after the other. */
export const PALETTE = Uint8Array.from({ length: PALETTE_SIZE * 3 }, (_, i) => {
  const place = Math.floor(i / 3);
  return Math.round(255 * hsl(place / PALETTE_SIZE, 0.85, LIGHTNESS[place % 3]!)[i % 3]!);
});

export function labelColour(label: number): Rgb {
  const at = paletteIndex(label) * 3;
  return [PALETTE[at]!, PALETTE[at + 1]!, PALETTE[at + 2]!];
}

export function css([r, g, b]: Rgb, alpha = 1): string {
  return `rgb(${r} ${g} ${b} / ${alpha})`;
}

function hsl(hue: number, saturation: number, lightness: number): [number, number, number] {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const part = (shift: number) => {
    const k = (shift + hue * 12) % 12;
    return lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  };
  return [part(0), part(8), part(4)];
}

/** Stains and proteins as people are used to see them; pure blue is too dark on black. */
const BY_NAME: [RegExp, string][] = [
  [/dapi|hoechst|draq|\bnuc|405/i, "#4f7dff"],
  [/cfp|cerulean|turquoise/i, "#27d3e8"],
  [/gfp|fitc|venus|488|fluo-?4|calcein/i, "#23d160"],
  [/yfp|citrine|514/i, "#e8e337"],
  [/cy5|far.?red|irfp|63[0-9]|64[0-9]|alexa.?6[3-9]/i, "#ff4dff"],
  [/rfp|cherry|tomato|tritc|cy3|texas|rhodamine|5[4-9][0-9]|alexa.?5[4-9]/i, "#ff4a3d"],
  [/bright|phase|\bbf\b|dic|trans|grey|gray/i, "#ffffff"],
];
/** Told apart also by the colour-blind: green and magenta first. */
const BY_PLACE = ["#1fd36b", "#ff4df2", "#38b6ff", "#ffab2e", "#f4f45a", "#ff6a4a"];
const RGB = ["#ff0000", "#00ff00", "#0000ff"];

export function channelColour(image: ImageInfo, channel: number): string {
  if (image.is_rgb) return RGB[channel] ?? "#ffffff";
  const { name, color } = image.channels[channel]!;
  if (/^#[0-9a-f]{6}$/i.test(color)) return color.toLowerCase();
  const known = BY_NAME.find(([pattern]) => pattern.test(name));
  if (known) return known[1];
  if (image.channels.length === 1) return "#ffffff";
  return BY_PLACE[channel % BY_PLACE.length]!;
}

/** "#RRGGBB" as numbers from 0 to 1. */
export function unitRgb(colour: string): Rgb {
  const part = (at: number) => Number.parseInt(colour.slice(at, at + 2), 16) / 255;
  return [part(1), part(3), part(5)];
}
