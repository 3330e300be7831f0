// What one sees and how: all that controls set and that the picture is drawn from.

import { computed, signal, type Signal } from "@preact/signals";

import type { Plane } from "./addresses";
import type { Box, Camera } from "./camera";
import { channelColour } from "./colours";
import { type Limits, sliderEnd } from "./contrast";
import { imageSize } from "./levels";
import { inWords } from "./numbers";
import type { ImageInfo } from "./shapes";

export interface ChannelLooks {
  readonly channel: number;
  readonly name: string;
  readonly colour: string;
  readonly limits: Limits;
  readonly isVisible: boolean;
}

export interface Hover {
  readonly x_px: number;
  readonly y_px: number;
  readonly label: number;
  /** Stored values per visible channel; null while they are being fetched. */
  readonly values: { name: string; text: string }[];
  readonly isExact: boolean;
}

/** The rectangle that alone was segmented, as a job has it. */
export interface Region {
  readonly min_y_px: number;
  readonly min_x_px: number;
  readonly max_y_px: number;
  readonly max_x_px: number;
}

/** What two viewers side by side have in common. */
export interface Shared {
  readonly camera?: Signal<Camera | null>;
  readonly t?: Signal<number>;
  readonly z?: Signal<number>;
  readonly channels?: Signal<ChannelLooks[]>;
}

const TAIL_FRAMES = 10;

export class ViewerState {
  /** null: all of `whole`, whatever the size of the window. */
  readonly camera: Signal<Camera | null>;
  readonly t: Signal<number>;
  readonly z: Signal<number>;
  readonly channels: Signal<ChannelLooks[]>;
  readonly hasOutlines = signal(true);
  readonly isFilled = signal(false);
  /** Outlines of the labels to compare with, where there are some. */
  readonly hasOthers = signal(false);
  readonly opacity = signal(0.8);
  readonly tail_frames: Signal<number>;
  readonly isPlaying = signal(false);
  readonly framesPerSecond = signal(5);
  readonly hover = signal<Hover | null>(null);
  /** Marked by the pointer, in the picture or in the table. */
  readonly hovered = signal(0);
  readonly picked = signal(0);
  readonly plane = computed<Plane>(() => ({ t: this.t.value, z: this.z.value }));

  /** What is seen at first, and after "fit": the image, or the region that one asked for. */
  readonly whole: Box;

  constructor(readonly image: ImageInfo, shared: Shared = {}, region: Region | null = null) {
    const { width, height } = imageSize(image);
    this.whole = region
      ? { left: region.min_x_px, top: region.min_y_px, right: region.max_x_px, bottom: region.max_y_px }
      : { left: 0, top: 0, right: width, bottom: height };
    this.camera = shared.camera ?? signal<Camera | null>(null);
    this.t = shared.t ?? signal(firstPlane(image).t);
    this.z = shared.z ?? signal(firstPlane(image).z);
    this.channels = shared.channels ?? signal(firstChannels(image));
    this.tail_frames = signal(image.has_tracks ? Math.min(TAIL_FRAMES, image.sizes.t - 1) : 0);
  }

  setChannel(channel: number, change: Partial<ChannelLooks>): void {
    this.channels.value = this.channels.value.map((looks) =>
      looks.channel === channel ? { ...looks, ...change } : looks);
  }

  /** To another plane, as far as there are some. */
  go(t: number, z: number): void {
    const { sizes } = this.image;
    this.t.value = Math.min(sizes.t - 1, Math.max(0, t));
    this.z.value = Math.min(sizes.z - 1, Math.max(0, z));
  }
}

/** The first that was segmented: a preview of frame 7 opens there. */
export function firstPlane({ label_planes, sizes, has_labels }: ImageInfo): Plane {
  const first = has_labels ? label_planes?.[0] : undefined;
  if (first) return { t: first[0], z: first[1] };
  // The middle of a stack, where something is in focus.
  return { t: 0, z: Math.floor(sizes.z / 2) };
}

export function firstChannels(image: ImageInfo): ChannelLooks[] {
  return image.channels.map((_, channel) => firstLooks(image, channel));
}

function firstLooks(image: ImageInfo, channel: number): ChannelLooks {
  const { name } = image.channels[channel]!;
  return {
    channel,
    name: name || (image.is_rgb ? ["Red", "Green", "Blue"][channel] : "") || `Channel ${channel}`,
    colour: channelColour(image, channel),
    limits: firstLimits(image, channel),
    isVisible: image.is_rgb || image.channels.length === 1 || image.shown_channels.includes(channel),
  };
}

/** Colours of a photograph are shown as they are: stretched one by one they would shift. */
function firstLimits(image: ImageInfo, channel: number): Limits {
  const { low, high } = image.channels[channel]!;
  if (!image.is_rgb) return { low, high: Math.max(high, low + 1) };
  return { low: 0, high: sliderEnd(image.dtype, Math.max(...image.channels.map((one) => one.high)) / 2) };
}

/** A stored value as what the file means by it. */
export function realValue(image: ImageInfo, channel: number, stored: number): string {
  const { offset, scale } = image.channels[channel]!;
  return inWords(offset + scale * stored);
}
