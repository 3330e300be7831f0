import { describe, expect, test } from "vitest";

import { below, hasLabels } from "./addresses";
import { layersIn, neededTiles, sceneOf, type Shown } from "./scene";
import { madeUpImage } from "./testing";

const IMAGE = madeUpImage();
const SHOWN: Shown = {
  image: IMAGE, base: "/jobs/1", labelBases: [{ base: "/jobs/1", isOther: false }],
  channels: [{ channel: 0, colour: "#ffffff", limits: { low: 0, high: 1 } }],
};
const PLANE = { t: 0, z: 0 };
const NEAR = { x_px: 640, y_px: 384, scale: 1 };
const VIEW = { width: 256, height: 256 };

const known = (paths: string[], lost: string[] = []) =>
  ({ has: (path: string) => paths.includes(path), isLost: (path: string) => lost.includes(path) });

describe("scene", () => {
  test("the coarsest level is asked for first, then the sharp one", () => {
    const paths = neededTiles(SHOWN, PLANE, NEAR, VIEW, 1).map(({ path }) => path);
    expect(paths).toEqual([
      "/jobs/1/image/3/0/0/0/0/0", "/jobs/1/labels/3/0/0/0/0",
      "/jobs/1/image/0/0/0/0/1/2", "/jobs/1/labels/0/0/0/1/2",
    ]);
  });

  test("a coarser tile stands in for one that is not here yet", () => {
    const scene = sceneOf(SHOWN, PLANE, NEAR, VIEW, 1, known(["/jobs/1/image/3/0/0/0/0/0"]));
    const [channel] = scene.channels;
    expect(channel).toMatchObject({ isCovered: true, isSharp: false });
    expect(channel!.quads).toMatchObject([{ factor: 8, left: 0, top: 0, box: { left: 512, top: 256, right: 768, bottom: 512 } }]);
    expect(scene.labels[0]).toMatchObject({ isCovered: false, quads: [] });
  });

  test("what is lost is waited for by nobody", () => {
    const scene = sceneOf(SHOWN, PLANE, NEAR, VIEW, 1, known([], ["/jobs/1/image/0/0/0/0/1/2", "/jobs/1/labels/0/0/0/1/2"]));
    expect(layersIn(scene).every(({ isSharp, isCovered }) => isSharp && isCovered)).toBe(true);
  });
});

describe("addresses", () => {
  test("how to read an upload stays at the end", () => {
    expect(below("/uploads/1?series=2", "/image/0/0")).toBe("/uploads/1/image/0/0?series=2");
    expect(below("/uploads/1?series=2", "/instances?t=0")).toBe("/uploads/1/instances?t=0&series=2");
    expect(below("/api/v1/jobs/1", "/image")).toBe("/jobs/1/image");
  });

  test("only the planes that were segmented have labels", () => {
    const preview = madeUpImage({ label_planes: [[3, 1]] });
    expect([hasLabels(preview, { t: 3, z: 1 }), hasLabels(preview, { t: 3, z: 0 })]).toEqual([true, false]);
    expect(hasLabels(madeUpImage({ has_labels: false }), PLANE)).toBe(false);
  });
});
