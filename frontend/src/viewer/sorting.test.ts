import { expect, test } from "vitest";

import { clicked, sorted } from "./sorting";

const ROWS = [[1, 5, "b"], [2, null, "a"], [3, 2, null], [4, 5, "c"]];

test("numbers by size, equal ones in the order of the table", () => {
  expect(sorted(ROWS, { column: 1, isDescending: false })).toEqual([2, 0, 3, 1]);
  expect(sorted(ROWS, { column: 1, isDescending: true })).toEqual([0, 3, 2, 1]);
});

test("what is not known comes last either way", () => {
  expect(sorted(ROWS, { column: 2, isDescending: false })).toEqual([1, 0, 3, 2]);
  expect(sorted(ROWS, { column: 2, isDescending: true })).toEqual([3, 0, 1, 2]);
});

test("a second click turns the order round, another column begins anew", () => {
  const first = clicked({ column: 0, isDescending: false }, 1);
  expect([first, clicked(first, 1), clicked(clicked(first, 1), 0)]).toEqual([
    { column: 1, isDescending: false }, { column: 1, isDescending: true }, { column: 0, isDescending: false },
  ]);
});
