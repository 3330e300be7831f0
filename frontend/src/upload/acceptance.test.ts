import { expect, test } from "vitest";

import { verdict } from "./acceptance";

const MOST = 8 * 1024 ** 3;

test.each(["a.tif", "a.ome.TIFF", "slide.svs", "plate.zip", "x.png", "x.czi", "a.npy", "b.JPG"])(
  "%s is sent", (name) => expect(verdict(name, 10, MOST)).toEqual({ reason: "", mayTry: true }));

test.each([["movie.avi", "video"], ["table.xlsx", "table"], ["readme.txt", "text file"],
  ["data.7z", "archive"], ["x.webp", "TIFF or PNG"], ["x.qqq", ".qqq"], ["noname", "does not say"]])(
  "%s waits for a word, with a reason", (name, word) => {
    const { reason, mayTry } = verdict(name, 10, MOST);
    expect(reason).toContain(word);
    expect(mayTry).toBe(true);
  });

test("what is too large or empty is not sent at all", () => {
  expect(verdict("a.tif", MOST + 1, MOST)).toMatchObject({ mayTry: false });
  expect(verdict("a.tif", MOST + 1, MOST).reason).toContain("8 GiB");
  expect(verdict("a.tif", 0, MOST)).toEqual({ reason: "This file is empty.", mayTry: false });
});
