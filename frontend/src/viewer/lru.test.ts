import { expect, test } from "vitest";

import { Lru } from "./lru";

test("what was not used for longest goes first, as soon as there is no room", () => {
  const gone: string[] = [];
  const kept = new Lru<string>(100, (value) => gone.push(value));
  for (const name of ["a", "b", "c"]) kept.set(name, name, 30);
  kept.get("a");
  kept.set("d", "d", 30);
  expect(gone).toEqual(["b"]);
  expect(kept.bytes).toBe(90);
});

test("something larger than all the room is kept alone", () => {
  const kept = new Lru<string>(100);
  kept.set("a", "a", 60);
  kept.set("b", "b", 500);
  expect([kept.has("a"), kept.get("b"), kept.bytes]).toEqual([false, "b", 500]);
  kept.set("c", "c", 10);
  expect([kept.has("b"), kept.bytes]).toEqual([false, 10]);
});

test("the same key twice counts once, and clearing lets go of all", () => {
  const gone: number[] = [];
  const kept = new Lru<number>(100, (value) => gone.push(value));
  kept.set("a", 1, 60);
  kept.set("a", 2, 50);
  expect([kept.bytes, kept.size]).toEqual([50, 1]);
  kept.clear();
  expect([gone, kept.bytes, kept.size]).toEqual([[1, 2], 0, 0]);
});
