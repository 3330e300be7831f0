// A job as a few lines of Python: the same again, from a script.

import type { Job, Reading, TrackingOptions } from "../api/types";
import { askedOf } from "../run/tracking";

const DEFAULT_PORT = 50051;

/** A program with the client library that does what the job did. */
export function pythonOf(job: Job, host: string): string {
  const { tracking } = job.parameters;
  const call = tracking ? "track" : "segment";
  const given = [...common(job), ...(tracking ? trackingOf(tracking) : segmentationOf(job))];
  const lines = [python(job.file_name), ...given.map(([name, value]) => `${name}=${value}`)];
  return [
    "from kiosk.client import Kiosk",
    "",
    `# The page of this kiosk is on ${oneLine(host)}; its API for programs usually has port ${DEFAULT_PORT}.`,
    `with Kiosk(${python(`${host}:${DEFAULT_PORT}`)}) as kiosk:`,
    `    result = kiosk.${call}(`,
    ...lines.map((line) => `        ${line},`),
    "        progress=True,",
    "    )",
    "    result.save(\"results\")",
    "",
  ].join("\n");
}

type Argument = [name: string, value: string];

function common(job: Job): Argument[] {
  const { channel, postprocessing, reading = {} } = job.parameters;
  const given: Argument[] = [];
  if (job.model) given.push(["model", python(job.model)], ["version", python(job.model_version)]);
  if (channel) given.push(["channel", python(channel)]);
  if (postprocessing && Object.keys(postprocessing).length > 0) {
    given.push(["parameters", python(postprocessing)]);
  }
  const names: (keyof Reading)[] = ["axes", "member", "series", "pixel_size_um", "z_step_um"];
  for (const name of names) {
    const value = reading[name];
    if (value) given.push([name, python(value)]);
  }
  return given;
}

function segmentationOf({ parameters }: Job): Argument[] {
  const { formats, region, volume, within } = parameters;
  const given: Argument[] = [];
  if (region) {
    const edges = [region.min_y_px, region.min_x_px, region.max_y_px, region.max_x_px];
    given.push(["region", `(${edges.join(", ")})`]);
  }
  if (volume) given.push(["volume", "True"]);
  if (formats?.length) given.push(["formats", python(formats)]);
  if (within) given.push(["within", python(uploadName(within))]);
  return given;
}

function trackingOf(options: TrackingOptions): Argument[] {
  const { labels, tracks, ...others } = askedOf(options);
  const given: Argument[] = [];
  if (labels) given.push(["labels", python(uploadName(labels))]);
  // The client takes corrected tracks as a file; their upload has no name of its own.
  if (tracks) given.push(["tracks", python("tracks.csv")]);
  for (const [name, value] of Object.entries(others)) {
    given.push([name, python(value)]);
  }
  return given;
}

const uploadName = (id: string): string => (id.startsWith("uploads/") ? id : `uploads/${id}`);

/** A value as Python writes it. */
export function python(value: unknown): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).map(([key, inner]) => `${python(key)}: ${python(inner)}`);
    return `{${pairs.join(", ")}}`;
  }
  // JSON's escapes are Python's, but for characters beyond the first plane, which stay as they are.
  return JSON.stringify(value);
}

/** For a comment: a line break would end it. */
const oneLine = (text: string): string => text.replace(/[^\w.:[\]-]/g, "");
