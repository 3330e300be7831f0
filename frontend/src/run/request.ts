// The body of a job's request, out of the settings and an image of a file.

import type { InspectedImage, JobRequest, Plane, Reading, Region } from "../api/types";
import type { FileItem } from "../files/item";
import type { Choice } from "./settings";

/** Only what differs from the defaults is sent. */
export function jobRequest(item: FileItem, image: InspectedImage, choice: Choice): JobRequest {
  const { contents, transfer } = item;
  const body: JobRequest = { upload: transfer.upload.value, model: choice.model };
  if (choice.version) body.model_version = choice.version;
  const channel = channelFor(image, contents.channel.value);
  if (channel) body.channel = channel;
  if (Object.keys(choice.parameters).length > 0) body.parameters = choice.parameters;
  const reading = given({
    ...contents.corrections.value,
    member: image.reading.member ?? "", series: image.reading.series ?? 0,
  });
  if (Object.keys(reading).length > 0) body.reading = reading;
  if (choice.tracking) {
    body.tracking = choice.tracking;
    return body;
  }
  if (choice.volume && image.size_z > 1) body.volume = true;
  if (choice.formats.length > 0) body.formats = [...choice.formats];
  if (choice.region) body.region = choice.region;
  if (choice.within) body.within = choice.within;
  return body;
}

/** The same for one place of one plane: what a preview asks. */
export function previewRequest(
  item: FileItem, image: InspectedImage, choice: Choice, plane: Plane, region: Region,
): JobRequest {
  const plain: Choice = { ...choice, tracking: null, volume: false, formats: [], region: null, within: "" };
  return { ...jobRequest(item, image, plain), preview: true, plane, region };
}

/** An image with one channel needs none named, whatever its neighbours of a zip have. */
function channelFor(image: InspectedImage, channel: string): string {
  return image.size_c === 1 || image.is_rgb ? "" : channel;
}

function given(reading: Reading): Reading {
  return Object.fromEntries(Object.entries(reading).filter(([, value]) => Boolean(value)));
}

/** Whether somebody has to say which channel is meant. */
export function needsChannel(
  image: InspectedImage | null, model: { channels: string[]; accepts_rgb: boolean } | null,
): boolean {
  if (!image || !model || image.is_rgb) return false;
  return image.size_c > Math.max(1, model.channels.length);
}
