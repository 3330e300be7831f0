import { afterEach, describe, expect, test, vi } from "vitest";

import { count, number, parseNumber, percent, typed } from "./numbers";
import { bytes, speed } from "./sizes";
import { day, duration, left, moment, until } from "./times";

const reader = (language: string): void => void vi.stubGlobal("navigator", { language });
afterEach(() => void vi.unstubAllGlobals());

describe("numbers that people type", () => {
  test.each([
    ["0.65", 0.65], ["0,65", 0.65], [" 12 ", 12], ["1 000", 1000], ["1\u202f000,5", 1000.5],
    ["1.000,5", 1000.5], ["1,000.5", 1000.5], ["-3", -3], ["1e3", 1000], [",5", 0.5], ["1'000", 1000],
  ])("%s is %d", (text, value) => {
    for (const language of ["de-DE", "fr-FR"]) expect(parseNumber(text, language)).toBe(value);
  });

  test.each(["", "abc", "1..2", "1,2,3x", "0x10", "Infinity", "--1"])("%s is none", (text) => {
    expect(parseNumber(text, "en-GB")).toBeNaN();
  });

  test("thousands are read as the reader writes them, but never a number below one", () => {
    expect(parseNumber("1,200", "en-GB")).toBe(1200);
    expect(parseNumber("1,200", "de-DE")).toBe(1.2);
    expect(parseNumber("1.200", "de-DE")).toBe(1200);
    expect(parseNumber("0,650", "en-GB")).toBe(0.65);
    expect(parseNumber("0.650", "de-DE")).toBe(0.65);
  });

  test("what a field shows is read as the same number, in every language", () => {
    for (const language of ["en-GB", "de-DE", "fr-FR", "sv-SE"]) {
      reader(language);
      for (const value of [0.65, 1234.5, 100000, 0.000123]) expect(parseNumber(typed(value))).toBe(value);
    }
  });
});

test("numbers are written in the reader's way", () => {
  reader("de-DE");
  expect([number(1234.5), percent(0.42), count(1200, "job")]).toEqual(["1.235", "42\u00a0%", "1.200 jobs"]);
  reader("en-GB");
  expect([number(0.65), percent(2), count(1, "job")]).toEqual(["0.65", "100%", "1 job"]);
});

test("sizes and speeds", () => {
  reader("en-GB");
  expect([bytes(0), bytes(1023), bytes(1536), bytes(5 * 1024 ** 3)])
    .toEqual(["0 bytes", "1,020 bytes", "1.5 KiB", "5 GiB"]);
  expect(speed(2 * 1024 ** 2)).toBe("2 MiB/s");
});

test("times", () => {
  reader("en-GB");
  const now = new Date(2026, 9, 3, 18, 0);
  expect(moment(new Date(2026, 9, 3, 14, 32).toISOString(), now)).toBe("14:32");
  expect(moment(new Date(2026, 9, 1, 14, 32).toISOString(), now)).toBe("1 Oct, 14:32");
  expect(day(new Date(2025, 9, 1).toISOString(), now)).toBe("1 Oct 2025");
});

test("spans of time", () => {
  reader("en-GB");
  expect([0.3, 45, 300, 7200, 200000].map(duration))
    .toEqual(["0.3 s", "45 s", "5 min", "2 h", "2 days"]);
  expect([4, 42, 70, 600].map(left)).toEqual(
    ["a few seconds left", "about 50 s left", "about 2 min left", "about 10 min left"]);
  const now = Date.parse("2026-10-03T12:00:00Z");
  expect([until("2026-10-10T12:00:00Z", now), until("2026-10-03T11:00:00Z", now), until("", now)])
    .toEqual(["in 7 days", "soon", "soon"]);
});
