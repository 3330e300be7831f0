import { beforeEach, expect, test, vi } from "vitest";

import type { InspectedImage } from "../api/types";
import { stainOf } from "./stain";
import { factsOf, placeOf } from "./words";

beforeEach(() => void vi.stubGlobal("navigator", { language: "en-GB" }));

const image = (more: Partial<InspectedImage>): InspectedImage => ({
  reading: {}, title: "", size_t: 1, size_c: 1, size_z: 1, size_y: 512, size_x: 1024, is_rgb: false,
  pixel_size_x_um: 0, pixel_size_y_um: 0, z_step_um: 0, frame_interval_s: 0, ...more,
} as InspectedImage);

test("an image in words", () => {
  expect(factsOf(image({}))).toEqual(["Image", "1,024 × 512 px", "pixel size unknown"]);
  expect(factsOf(image({
    size_t: 40, size_z: 3, size_c: 2, pixel_size_x_um: 0.65, pixel_size_y_um: 0.65, z_step_um: 2,
    frame_interval_s: 300,
  }))).toEqual(["Movie of 40 frames, each 3 planes along z", "1,024 × 512 px", "2 channels",
    "0.65 µm per pixel", "z step 2 µm", "a frame every 5 min"]);
});

test("its place in a file", () => {
  expect(placeOf(image({ reading: { member: "b/c.tif", series: 2 } }))).toBe("b/c.tif, image 2");
  expect(placeOf(image({ reading: { series: 1 }, title: "Overview" }))).toBe("Overview");
  expect(placeOf(image({ reading: {} }))).toBe("image 0");
});

test("stains have their usual colours, and an unknown name none", () => {
  expect(["DAPI", "EGFP", "mCherry", "Cy5", "Phase contrast", "x"].map(stainOf))
    .toEqual(["blue", "green", "red", "magenta", "grey", "none"]);
});
