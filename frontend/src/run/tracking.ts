// What somebody may ask of tracking, apart from what the kiosk has filled in by itself.

import type { TrackingOptions } from "../api/types";

const ASKED: readonly (keyof TrackingOptions)[] = [
  "labels", "tracks", "labels_are_tracks", "skip_bad_frames", "linker", "longest_gap_frames", "reach_px",
  "divisions", "correct_drift", "mend",
];

/** The record of a job has more: the version that linked, names of files for messages. */
export function askedOf(recorded: TrackingOptions): TrackingOptions {
  return Object.fromEntries(ASKED.flatMap((name) => {
    const value = recorded[name];
    return value === undefined || value === null ? [] : [[name, value]];
  }));
}
