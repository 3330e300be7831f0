// Sizes of files.

import { number } from "./numbers";

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

export function bytes(size: number): string {
  let step = 0;
  while (size >= 1024 && step < UNITS.length - 1) {
    size /= 1024;
    step++;
  }
  return `${number(size, 3)} ${UNITS[step]}`;
}

export function speed(bytes_per_s: number): string {
  return `${bytes(bytes_per_s)}/s`;
}
