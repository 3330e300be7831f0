import { expect, test } from "vitest";

import { sorted } from "./dropped";

function file(path: string): File {
  const one = new File(["x"], path.split("/").pop() ?? "");
  Object.defineProperty(one, "webkitRelativePath", { value: path.includes("/") ? path : "" });
  return one;
}

test("natural order, without hidden files", () => {
  const { files } = sorted([file("frame10.tif"), file(".DS_Store"), file("frame2.tif"), file("Thumbs.db")]);
  expect(files.map(({ name }) => name)).toEqual(["frame2.tif", "frame10.tif"]);
});

test("an OME-Zarr folder is one image and no thousand files", () => {
  const { files, zarrFolders } = sorted([
    file("plate/a.ome.zarr/.zattrs"), file("plate/a.ome.zarr/0/.zarray"), file("plate/a.ome.zarr/0/0.0"),
    file("plate/b.tif"),
  ]);
  expect(zarrFolders).toEqual(["a.ome.zarr"]);
  expect(files.map(({ name }) => name)).toEqual(["b.tif"]);
});
