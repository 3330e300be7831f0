import { expect, test } from "vitest";

import type { Job, JobParameters } from "../api/types";
import { python, pythonOf } from "./python";

const job = (parameters: JobParameters, more: Partial<Job> = {}): Job => ({
  id: "j1", name: "jobs/j1", pipeline: "segmentation", upload: "uploads/u1", file_name: "cells.tif",
  model: "nuclei", model_version: "2", state: "succeeded", stage: "finished", parts_done: 1,
  parts_total: 1, notes: [], owner: "", priority: "", waiting_for: "", parameters, ...more,
});

test("a segmentation, with only what was asked", () => {
  expect(pythonOf(job({ channel: "DAPI", postprocessing: { min_area_px: 30 } }), "lab")).toBe(
    `from kiosk.client import Kiosk

# The page of this kiosk is on lab; its API for programs usually has port 50051.
with Kiosk("lab:50051") as kiosk:
    result = kiosk.segment(
        "cells.tif",
        model="nuclei",
        version="2",
        channel="DAPI",
        parameters={"min_area_px": 30},
        progress=True,
    )
    result.save("results")
`);
});

test("region, volume, formats, mask and reading", () => {
  const text = pythonOf(job({
    region: { min_y_px: 1, min_x_px: 2, max_y_px: 3, max_x_px: 4 }, volume: true,
    formats: ["labels", "rois"], within: "m1", reading: { axes: "ZYX", pixel_size_um: 0.65, series: 0 },
  }), "lab");
  for (const line of ["region=(1, 2, 3, 4),", "volume=True,", 'formats=["labels", "rois"],',
    'within="uploads/m1",', 'axes="ZYX",', "pixel_size_um=0.65,"]) expect(text).toContain(line);
  expect(text).not.toContain("series");
});

test("a tracking with labels given", () => {
  const text = pythonOf(job({ tracking: {
    labels: "u2", divisions: false, longest_gap_frames: 0,
    // Filled in by the kiosk; nobody can ask for it.
    ...{ linking_version: "1", labels_name: "x.tif" },
  } },
    { pipeline: "tracking", model: "", model_version: "" }), "lab");
  expect(text).toContain("kiosk.track(");
  for (const line of ['labels="uploads/u2",', "divisions=False,", "longest_gap_frames=0,"]) {
    expect(text).toContain(line);
  }
  for (const word of ["model=", "linking_version", "labels_name"]) expect(text).not.toContain(word);
});

test("names of files stay texts, whatever is in them", () => {
  const name = 'a"); import os\n#\\.tif';
  expect(pythonOf(job({}, { file_name: name }), "lab")).toContain(`\n        ${JSON.stringify(name)},\n`);
  expect(pythonOf(job({}), "lab\nimport os")).not.toContain("\nimport os");
  expect(python({ a: true, b: [1, "x"] })).toBe('{"a": True, "b": [1, "x"]}');
});
