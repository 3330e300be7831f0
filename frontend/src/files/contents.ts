// What the kiosk reads in a file that has arrived, and what its owner has put right.

import { computed, signal } from "@preact/signals";

import type { InspectedImage, Reading } from "../api/types";

export type ContentsState = "unread" | "reading" | "read" | "unreadable";

/** Corrections that hold for every image of the file. */
export type Corrections = Pick<Reading, "axes" | "pixel_size_um" | "z_step_um">;

export class Contents {
  readonly state = signal<ContentsState>("unread");
  readonly images = signal<readonly InspectedImage[]>([]);
  /** Why it cannot be read, in a sentence. */
  readonly trouble = signal("");
  readonly corrections = signal<Corrections>({});
  /** Name or number of the channel to segment; "" = not chosen. */
  readonly channel = signal("");
  /** Format, axes and channels. Stays when a correction was wrong, or nobody could undo it for all. */
  readonly kind = signal("");
  /** Images that are left out, by `imageKey`. */
  readonly leftOut = signal<ReadonlySet<string>>(new Set());

  /** The images that become jobs. */
  readonly chosen = computed(() => this.images.value.filter(
    (image) => !image.error && !this.leftOut.value.has(imageKey(image))));

  /** The first image that can be read: it stands for the file. */
  readonly first = computed(() => this.images.value.find((image) => !image.error && image.size_x > 0)
    ?? this.images.value.find((image) => !image.error) ?? null);

  /** Take what the kiosk has read; choices that were made before stay. */
  show(images: readonly InspectedImage[]): void {
    const isNew = this.images.value.length === 0;
    this.images.value = images;
    if (isNew) this.leftOut.value = leftOutAtFirst(images);
    this.kind.value = kindOf(this.first.value) || this.kind.value;
    const broken = images.filter((image) => image.error);
    const isUnreadable = images.length === 0 || broken.length === images.length;
    this.state.value = isUnreadable ? "unreadable" : "read";
    this.trouble.value = isUnreadable
      ? broken[0]?.error?.message ?? "The kiosk finds no image in this file." : "";
  }

  choose(image: InspectedImage, isIn: boolean): void {
    const left = new Set(this.leftOut.value);
    if (isIn) left.delete(imageKey(image));
    else left.add(imageKey(image));
    this.leftOut.value = left;
  }
}

export const imageKey = ({ reading }: InspectedImage): string =>
  `${reading.member ?? ""}#${reading.series ?? 0}`;

/** Of a zip all images are meant, of any other file the first. */
function leftOutAtFirst(images: readonly InspectedImage[]): ReadonlySet<string> {
  const others = images.filter((image) => !image.reading.member && (image.reading.series ?? 0) > 0);
  return new Set(others.map(imageKey));
}

/** Files of one kind are read and corrected alike; "" where nothing is known yet. */
export function kindOf(image: InspectedImage | null): string {
  if (!image || image.size_x === 0) return "";
  return JSON.stringify([image.format, image.axes, image.is_rgb, image.channel_names]);
}
