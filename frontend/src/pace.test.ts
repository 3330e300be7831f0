import { expect, test } from "vitest";

import { Pace } from "./pace";

test("the time left follows from what was done lately", () => {
  const pace = new Pace(10_000);
  pace.add(0, 0);
  expect(pace.secondsLeft(100)).toBeNull(); // nobody can say yet
  pace.add(10, 5000);
  expect(pace.secondsLeft(100)).toBe(45);
  pace.add(90, 20_000);
  pace.add(91, 40_000); // it has become slow, and the beginning is forgotten
  expect(pace.per_s).toBeCloseTo(0.05);
});

test("standing still makes it slower, and a new beginning forgets the old", () => {
  const pace = new Pace(10_000);
  pace.add(0, 0);
  pace.add(10, 1000);
  pace.add(10, 2000);
  expect(pace.per_s).toBe(5);
  pace.add(2, 3000);
  expect(pace.secondsLeft(100)).toBeNull();
});

test("what is done already needs no time", () => {
  const pace = new Pace(10_000);
  pace.add(1, 0);
  pace.add(5, 1000);
  expect(pace.secondsLeft(3)).toBe(0);
});
