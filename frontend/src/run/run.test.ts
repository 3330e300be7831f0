import { beforeEach, describe, expect, test } from "vitest";

import { Problem } from "../api/problem";
import type { InspectedImage, Job, JobRequest, Model } from "../api/types";
import { FileItem } from "../files/item";
import { Transfer } from "../upload/transfer";
import { launch } from "./launch";
import { regionAround } from "./previewing";
import { jobRequest, needsChannel, previewRequest } from "./request";
import { BadSetting, RunSettings } from "./settings";

const MODEL = {
  name: "models/nuclei", display_name: "Nuclei", versions: ["1", "2"], default_version: "2", canary_version: "", channels: ["nuclei"],
  accepts_rgb: true, parameters: [
    { name: "min_area_px2", kind: "whole", default_value: 20, minimum: 0, maximum: 1000, unit: "px2", meaning: "" },
    { name: "threshold", kind: "number", default_value: 0.5, minimum: 0, maximum: 1, unit: "", meaning: "" },
  ],
} as unknown as Model;

const image = (more: Partial<InspectedImage> = {}): InspectedImage => ({
  reading: { member: "", series: 0 }, title: "", format: "TIFF", size_t: 1, size_c: 1, size_z: 1,
  size_y: 100, size_x: 100, axes: "YX", is_rgb: false, channel_names: [""], notes: [], ...more,
} as InspectedImage);

function item(...images: InspectedImage[]): FileItem {
  const transfer = new Transfer("key", "a.tif", 5, null);
  transfer.state.value = "arrived";
  transfer.upload.value = "u1";
  const one = new FileItem(transfer);
  one.contents.show(images.length > 0 ? images : [image()]);
  return one;
}

let settings: RunSettings;
beforeEach(() => {
  settings = new RunSettings();
  settings.models.value = [MODEL];
  settings.chooseModel("nuclei");
});

describe("a request", () => {
  test("has only what differs from the defaults", () => {
    expect(jobRequest(item(), image(), settings.choice())).toEqual({ upload: "u1", model: "nuclei" });
    settings.typed.value = { min_area_px2: "20", threshold: "0,65" };
    expect(jobRequest(item(), image(), settings.choice()).parameters).toEqual({ threshold: 0.65 });
  });

  test("says how the file is read, and which channel where there are several", () => {
    const one = item(image({ size_c: 2, channel_names: ["DAPI", "GFP"] }));
    one.contents.corrections.value = { axes: "CYX", pixel_size_um: 0 };
    one.contents.channel.value = "DAPI";
    const [shown] = one.contents.images.value;
    expect(jobRequest(one, shown!, settings.choice()))
      .toEqual({ upload: "u1", model: "nuclei", channel: "DAPI", reading: { axes: "CYX" } });
    expect(jobRequest(one, image(), settings.choice()).channel).toBeUndefined();
  });

  test("of a movie has no region, volume or formats of stills", () => {
    settings.volume.value = true;
    settings.formats.value = ["rois"];
    settings.isTracked.value = true;
    settings.tracking.value = { divisions: false };
    settings.reach.value = "12,5";
    expect(jobRequest(item(), image(), settings.choice())).toEqual(
      { upload: "u1", model: "nuclei", tracking: { divisions: false, reach_px: 12.5 } });
  });

  test("joins planes only where there are some", () => {
    settings.volume.value = true;
    expect(jobRequest(item(), image(), settings.choice()).volume).toBeUndefined();
    expect(jobRequest(item(), image({ size_z: 3 }), settings.choice()).volume).toBe(true);
  });

  test("of a preview names one place of one plane and writes nothing else", () => {
    settings.isTracked.value = true;
    const region = regionAround(image(), 0.5, 0.5, 50);
    expect(previewRequest(item(), image(), settings.choice(), { t: 3, z: 0 }, region)).toEqual({
      upload: "u1", model: "nuclei", preview: true, plane: { t: 3, z: 0 },
      region: { min_y_px: 25, min_x_px: 25, max_y_px: 75, max_x_px: 75 },
    });
  });
});

test("a region stays inside of the image", () => {
  const small = { size_y: 100, size_x: 900 };
  expect(regionAround(small, 0, 1, 512)).toEqual({ min_y_px: 0, min_x_px: 388, max_y_px: 100, max_x_px: 900 });
});

test("settings that cannot be right are said at once", () => {
  settings.typed.value = { threshold: "1.5" };
  expect(() => settings.choice()).toThrow("Threshold must be a number from 0 to 1.");
  settings.typed.value = { min_area_px2: "1.5" };
  expect(() => settings.choice()).toThrow("whole number");
  settings.typed.value = {};
  settings.region.value = { min_y_px: "5", min_x_px: "", max_y_px: "5", max_x_px: "10" };
  expect(() => settings.choice()).toThrow(BadSetting);
  settings.region.value = { min_y_px: "", min_x_px: "", max_y_px: "5", max_x_px: "10" };
  expect(settings.choice().region).toEqual({ min_y_px: 0, min_x_px: 0, max_y_px: 5, max_x_px: 10 });
});

test("the settings of a job fill the form as they were", () => {
  settings.fill("nuclei", "1", { postprocessing: { threshold: 0.7 }, volume: true, formats: ["rois"] });
  expect(settings.choice()).toMatchObject(
    { version: "1", parameters: { threshold: 0.7 }, volume: true, formats: ["rois"], tracking: null });
  settings.fill("nuclei", "2", { tracking: { mend: false, ...{ linking_version: "1" } } });
  expect(settings.choice()).toMatchObject({ version: "", parameters: {} });
  expect(settings.choice().tracking).toEqual({ mend: false });
});

test("a job's version is named where leaving it open would mean another", () => {
  settings.models.value = [{ ...MODEL, default_version: "1" }];
  settings.fill("nuclei", "2", {});
  expect(settings.choice().version).toBe("2");
  settings.fill("nuclei", "1", {});
  expect(settings.choice().version).toBe("");
  settings.models.value = [{ ...MODEL, default_version: "1", canary_version: "2" }];
  settings.fill("nuclei", "1", {});
  expect(settings.choice().version).toBe("1");
});

test("a channel has to be named where the model takes fewer", () => {
  expect(needsChannel(image({ size_c: 2 }), MODEL)).toBe(true);
  expect(needsChannel(image({ size_c: 3, is_rgb: true }), MODEL)).toBe(false);
  expect(needsChannel(image(), MODEL)).toBe(false);
});

describe("starting", () => {
  const nobody = { onJob: () => {}, onDone: () => {} };
  const made: JobRequest[] = [];
  const submit = (body: JobRequest): Promise<Job> => {
    made.push(body);
    return Promise.resolve({ id: `j${made.length}` } as Job);
  };
  beforeEach(() => { made.length = 0; });

  test("a zip is a job for each image, and a double click doubles none", async () => {
    const zip = item(...["a", "b", "c"].map((member) => image({ reading: { member, series: 0 } })));
    const choice = settings.choice();
    await Promise.all([launch([zip], choice, nobody, submit), launch([zip], choice, nobody, submit)]);
    expect(made.map((body) => body.reading?.member)).toEqual(["a", "b", "c"]);
    expect(new Set(made.map((body) => body.request_id)).size).toBe(3);
  });

  test("one that is refused says why, the others are taken, and another try takes only it", async () => {
    const zip = item(...["a", "b"].map((member) => image({ reading: { member, series: 0 } })));
    let isBad = true;
    const picky = (body: JobRequest): Promise<Job> => (isBad && body.reading?.member === "a"
      ? Promise.reject(new Problem("It is no movie.", 400, "NOT_A_MOVIE")) : submit(body));
    expect(await launch([zip], settings.choice(), nobody, picky)).toBe(1);
    expect(zip.refusals.value).toMatchObject([{ place: "a" }]);
    expect(zip.refusals.value[0]?.sentence).toMatch(/^It is no movie\. Switch off/);
    isBad = false;
    expect(await launch([zip], settings.choice(), nobody, picky)).toBe(1);
    expect(made.map((body) => body.reading?.member)).toEqual(["b", "a"]);
  });

  test("an answer that was lost is asked for by the same id", async () => {
    const one = item();
    const ids: (string | undefined)[] = [];
    const lost = (body: JobRequest): Promise<Job> => {
      ids.push(body.request_id);
      return ids.length === 1 ? Promise.reject(Problem.unreachable()) : submit(body);
    };
    await launch([one], settings.choice(), nobody, lost);
    await launch([one], settings.choice(), nobody, lost);
    expect(ids[0]).toBe(ids[1]);
    expect(ids[0]).toHaveLength(32);
  });
});
