import { beforeEach, expect, test } from "vitest";

import { Memory } from "./remembered";

const entry = (key: string, name = `${key}.tif`) =>
  ({ key, name, size_bytes: 5, upload: "", reading: { axes: "ZYX" }, channel: "DAPI" });

beforeEach(() => localStorage.clear());

test("files come back in their order, each owner's own", () => {
  const alice = new Memory("alice");
  for (const key of ["frame10", "frame2"]) alice.keep(entry(key));
  new Memory("bob").keep(entry("other"));
  expect(new Memory("alice").all()).toEqual([entry("frame2"), entry("frame10")]);
  alice.forget("frame2");
  expect(new Memory("alice").all()).toEqual([entry("frame10")]);
});

test("what something else has written is left aside", () => {
  localStorage.setItem("kiosk-file::a", "not JSON");
  localStorage.setItem("kiosk-file::b", '{"key": 7}');
  localStorage.setItem("tus::x", "{}");
  expect(new Memory("").all()).toEqual([]);
});

test("a browser without storage forgets, and nothing else", () => {
  const memory = new Memory("", null);
  memory.keep(entry("a"));
  expect(memory.all()).toEqual([]);
});
