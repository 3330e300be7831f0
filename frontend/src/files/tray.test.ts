import { beforeEach, expect, test, vi } from "vitest";

import type { InspectedImage } from "../api/types";
import { type Carrier, type Told, Transfer } from "../upload/transfer";
import { kindOf } from "./contents";
import { keyOf, Tray } from "./tray";

const MOVIE = {
  reading: { member: "", series: 0 }, format: "OME-TIFF", axes: "TYX", is_rgb: false,
  channel_names: [""], size_x: 10, size_y: 10, size_t: 3, size_c: 1, size_z: 1, notes: [],
} as unknown as InspectedImage;

const told = new Map<string, Told>();
const carrier: Carrier = {
  send: (transfer: Transfer, who: Told) => { told.set(transfer.name, who); return () => {}; },
  forget: () => {},
};
const file = (name: string, content = "x"): File => new File([content], name, { lastModified: 5 });

beforeEach(() => {
  told.clear();
  localStorage.clear();
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ images: [MOVIE] })));
});

async function arrived(tray: Tray, ...names: string[]): Promise<void> {
  for (const name of names) told.get(name)?.onArrived(`id-${name}`);
  await vi.waitFor(() => expect(tray.ready.value.length).toBe(names.length));
}

test("files arrive, are read, and are ready", async () => {
  const tray = new Tray(carrier);
  const ready: string[] = [];
  tray.onReady = (item) => ready.push(item.name);
  tray.take([file("a.tif"), file("b.tif")]);
  await arrived(tray, "a.tif", "b.tif");
  expect(ready.sort()).toEqual(["a.tif", "b.tif"]);
});

test("the same file twice is one, and a doubtful one waits for a word", () => {
  const tray = new Tray(carrier);
  tray.take([file("a.tif"), file("notes.txt")]);
  tray.take([file("a.tif")]);
  expect(tray.items.value.map((item) => item.name)).toEqual(["a.tif", "notes.txt"]);
  expect([...told.keys()]).toEqual(["a.tif"]);
  tray.tryAnyway(tray.items.value[1]!);
  expect([...told.keys()]).toEqual(["a.tif", "notes.txt"]);
});

test("files of one kind are corrected together and read anew", async () => {
  const tray = new Tray(carrier);
  tray.take([file("a.tif"), file("b.tif")]);
  await arrived(tray, "a.tif", "b.tif");
  const [first] = tray.items.value;
  const alike = tray.likes(first!);
  expect(alike.length).toBe(2);
  tray.correct(alike, ({ contents }) => { contents.corrections.value = { axes: "ZYX" }; return true; });
  expect(tray.items.value.map((item) => item.contents.state.value)).toEqual(["reading", "reading"]);
  await vi.waitFor(() => expect(tray.ready.value.length).toBe(2));
});

test("a correction that was wrong for all can be undone for all", async () => {
  const tray = new Tray(carrier);
  tray.take([file("a.tif"), file("b.tif")]);
  await arrived(tray, "a.tif", "b.tif");
  const error = { reason: "AXES_DO_NOT_FIT", message: "They do not fit." };
  const broken = { reading: MOVIE.reading, format: "", size_x: 0, error };
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ images: [broken] })));
  const [first] = tray.items.value;
  tray.correct(tray.likes(first!), ({ contents }) => { contents.corrections.value = { axes: "YX" }; return true; });
  await vi.waitFor(() => expect(first!.contents.trouble.value).toBe("They do not fit."));
  expect(tray.likes(first!).length).toBe(2);
});

test("a kind is format, axes and channels", () => {
  expect(kindOf(MOVIE)).toBe(kindOf({ ...MOVIE, size_t: 99, size_x: 512 }));
  expect(kindOf(MOVIE)).not.toBe(kindOf({ ...MOVIE, axes: "ZYX" }));
  expect(kindOf(MOVIE)).not.toBe(kindOf({ ...MOVIE, channel_names: ["a", "b"] }));
  expect(kindOf(null)).toBe("");
});

test("after a reload what has arrived is ready, and what has not asks for its file", async () => {
  const before = new Tray(carrier);
  await before.open("alice");
  before.take([file("a.tif"), file("b.tif", "longer")]);
  await arrived(before, "a.tif");

  const after = new Tray(carrier);
  await after.open("alice");
  expect(after.items.value.map((item) => item.transfer.state.value)).toEqual(["arrived", "missing"]);
  told.clear();
  // From a dialog that tells no folder, and with another time of change.
  after.take([new File(["longer"], "b.tif", { lastModified: 9 })]);
  expect(after.items.value.length).toBe(2);
  expect(told.has("b.tif")).toBe(true);
});

test("what was removed does not come back", async () => {
  const tray = new Tray(carrier);
  await tray.open("");
  tray.take([file("a.tif")]);
  tray.removeAll();
  const after = new Tray(carrier);
  await after.open("");
  expect(after.items.value).toEqual([]);
});

test("files are told apart by place, size and time of change", () => {
  expect(keyOf(file("a.tif"))).not.toBe(keyOf(file("a.tif", "xy")));
  expect(keyOf(file("a.tif"))).toBe(keyOf(file("a.tif")));
});
