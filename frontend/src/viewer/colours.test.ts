import { describe, expect, test } from "vitest";

import { channelColour, labelColour, paletteIndex, unitRgb } from "./colours";
import { madeUpImage } from "./testing";

function image(names: string[], color = "", is_rgb = false) {
  const channels = names.map((name) => ({ name, color, offset: 0, scale: 1, low: 0, high: 1 }));
  return madeUpImage({ channels, is_rgb });
}

describe("colours", () => {
  test("neighbouring numbers have colours far apart", () => {
    for (let label = 1; label < 2000; label++) {
      const apart = Math.abs(paletteIndex(label) - paletteIndex(label + 1));
      expect(Math.min(apart, 256 - apart)).toBeGreaterThan(60);
    }
  });

  test("the largest numbers have colours, too", () => {
    for (const part of labelColour(2 ** 32 - 1)) expect(part).toBeGreaterThanOrEqual(0);
  });

  test("the file's own colour goes before the stain's, the stain's before the palette", () => {
    expect(channelColour(image(["DAPI"], "#00FF80"), 0)).toBe("#00ff80");
    expect(channelColour(image(["GFP-actin", "mCherry"]), 0)).toBe("#23d160");
    expect(channelColour(image(["GFP", "mCherry"]), 1)).toBe("#ff4a3d");
    expect(channelColour(image(["Alexa 647", "Alexa 555"]), 0)).toBe("#ff4dff");
    expect(channelColour(image(["Alexa 647", "Alexa 555"]), 1)).toBe("#ff4a3d");
  });

  test("a single unnamed channel is grey, several are told apart, RGB is as it is", () => {
    expect(channelColour(image([""]), 0)).toBe("#ffffff");
    expect(new Set([0, 1, 2, 3].map((channel) => channelColour(image(["", "", "", ""]), channel))).size).toBe(4);
    expect([0, 1, 2].map((channel) => channelColour(image(["", "", ""], "", true), channel)))
      .toEqual(["#ff0000", "#00ff00", "#0000ff"]);
  });

  test("from text to numbers", () => {
    expect(unitRgb("#ff0080")).toEqual([1, 0, 128 / 255]);
  });
});
