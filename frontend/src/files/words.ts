// What an image is, in words.

import type { InspectedImage } from "../api/types";
import { count, number, whole } from "../format/numbers";
import { duration } from "../format/times";

/** "Movie of 40 frames", "Stack of 12 planes along z". */
export function shapeText({ size_t, size_z, is_rgb }: InspectedImage): string {
  const planes = `${count(size_z, "plane")} along z`;
  if (size_t > 1) return `Movie of ${whole(size_t)} frames${size_z > 1 ? `, each ${planes}` : ""}`;
  if (size_z > 1) return `Stack of ${planes}`;
  return is_rgb ? "Colour image" : "Image";
}

export function planeText({ size_x, size_y }: InspectedImage): string {
  return `${whole(size_x)} × ${whole(size_y)} px`;
}

/** "0.65 µm per pixel"; says so where it is not known. */
export function pixelText({ pixel_size_x_um: x, pixel_size_y_um: y }: InspectedImage): string {
  if (!(x > 0)) return "pixel size unknown";
  const isSquare = Math.abs(x - y) < 1e-6 * x;
  return isSquare ? `${number(x)} µm per pixel` : `${number(x)} × ${number(y)} µm per pixel`;
}

/** All that is known, as short phrases. */
export function factsOf(image: InspectedImage): string[] {
  const facts = [shapeText(image), planeText(image)];
  if (image.size_c > 1 && !image.is_rgb) facts.push(count(image.size_c, "channel"));
  facts.push(pixelText(image));
  if (image.size_z > 1 && image.z_step_um > 0) facts.push(`z step ${number(image.z_step_um)} µm`);
  if (image.size_t > 1 && image.frame_interval_s > 0) {
    facts.push(`a frame every ${interval(image.frame_interval_s)}`);
  }
  return facts;
}

function interval(seconds: number): string {
  return seconds < 90 ? `${number(seconds, 3)} s` : duration(seconds);
}

/** The image of a file as people name it. */
export function placeOf({ reading, title }: InspectedImage): string {
  const { member = "", series = 0 } = reading;
  if (title && !member) return title;
  return [member, series > 0 || !member ? `image ${series}` : ""].filter(Boolean).join(", ");
}
