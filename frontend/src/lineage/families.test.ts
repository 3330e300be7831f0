import { describe, expect, test } from "vitest";

import { familiesOf, treeOf, withDivisions } from "./families";

const track = (number: number, parent = 0, first_t = 0, last_t = 9) => ({ track: number, parent, first_t, last_t });
const TRACKS = [track(1, 0, 0, 4), track(2, 1, 5, 7), track(3, 1, 5, 9), track(4, 2, 8, 9), track(5, 2, 8, 9), track(6)];

describe("families", () => {
  test("every track is in one family, mothers before daughters", () => {
    const families = familiesOf(TRACKS);
    expect(families.map(({ root, tracks, divisions }) => [root, tracks.map((member) => member.track), divisions]))
      .toEqual([[1, [1, 2, 4, 5, 3], 2], [6, [6], 0]]);
    expect(withDivisions(families).map(({ root }) => root)).toEqual([1]);
  });

  test("a mother that the table does not know begins a family", () => {
    expect(familiesOf([track(7, 99)]).map(({ root }) => root)).toEqual([7]);
  });

  test("daughters have rows of their own, mothers lie between them", () => {
    const tree = treeOf(familiesOf(TRACKS)[0]!);
    const rows = Object.fromEntries(tree.branches.map(({ track: { track: number }, row }) => [number, row]));
    expect(rows).toEqual({ 1: 1.25, 2: 0.5, 4: 0, 5: 1, 3: 2 });
    expect([tree.rows, tree.first_t, tree.last_t]).toEqual([3, 0, 9]);
  });

  test("a chain of five thousand generations is no trouble", () => {
    const chain = Array.from({ length: 5000 }, (_, i) => track(i + 1, i, i, i));
    const tree = treeOf(familiesOf(chain)[0]!);
    expect([tree.rows, tree.branches.length]).toEqual([1, 5000]);
  });
});
