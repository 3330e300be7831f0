import { expect, test } from "vitest";

import { centroidOf, mainColumns, tableOf, titleOf } from "./measurements";
import { inWords, withUnit } from "./numbers";
import { scaleBar } from "./scaleBar";

const COLUMNS = ["label", "y_px", "x_px", "area_px", "area_um2", "mean_intensity_DAPI", "orientation_rad"]
  .map((name) => ({ name, unit: { y_px: "px", area_um2: "µm²", orientation_rad: "rad" }[name] ?? "", meaning: "" }));

test("the table counts from the centre of the first pixel, the picture from its corner", () => {
  const table = tableOf({ t: 0, z: 0 }, { columns: COLUMNS, rows: [[70007, 4, 9, 1, 2, 3, 4]], truncated: false });
  expect(centroidOf(table, 70007)).toEqual({ x: 9.5, y: 4.5 });
  expect(centroidOf(table, 1)).toBeNull();
});

test("at a glance: the size in µm and the mean intensities", () => {
  expect(mainColumns(COLUMNS).map((at) => COLUMNS[at]!.name)).toEqual(["area_um2", "mean_intensity_DAPI"]);
});

test("columns in words", () => {
  expect(COLUMNS.map(titleOf)).toEqual(["label", "y", "x", "area", "area", "mean intensity DAPI", "orientation"]);
});

test("numbers in words", () => {
  expect([0, 12, 0.5, 1234.567, 3.14159265, 1.5e-7, 123456789.5, null].map(inWords))
    .toEqual(["0", "12", "0.5", "1234.6", "3.142", "1.500e-7", "1.235e+8", "–"]);
  expect([withUnit(3, "um2"), withUnit(2, "um/s"), withUnit(null, "um")]).toEqual(["3 µm²", "2 µm/s", "–"]);
});

test("the scale bar is a round number and no longer than allowed", () => {
  expect(scaleBar(0.5, 1, 140)).toEqual({ width_px: 100, text: "50 µm" });
  expect(scaleBar(0.325, 64, 140).text).toBe("500 nm");
  expect(scaleBar(10, 0.05, 140).text).toBe("20 mm");
});
