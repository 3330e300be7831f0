/// <reference types="node" />
// The viewer in a real browser: it draws, picks exactly, survives the loss of its graphics context.

import { fileURLToPath } from "node:url";

import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { type BuiltPage, buildPages } from "./builtPage";
import { executable, launch } from "./chromium";
import { type FakeServer, serve } from "./fakeServer";
import { cells, labelAt } from "./madeUpJob";
import { STAGE, ViewerPage } from "./viewerPage";

const ROOT = fileURLToPath(new URL("./pages", import.meta.url));

let built: BuiltPage;
let server: FakeServer;
let browser: Browser;
let viewer: ViewerPage;

describe.skipIf(!executable)("the viewer", () => {
  beforeAll(async () => {
    built = await buildPages(ROOT, ["index.html"]);
    server = await serve(built.folder);
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await built?.remove();
  });
  beforeEach(async () => {
    server.broken = null;
    server.asked.length = 0;
    viewer = await ViewerPage.open(browser, server.url, { viewport: { width: 1200, height: 900 } });
  });
  afterEach(() => viewer.context.close());

  test("draws the image and the outlines under the kiosk's content policy", async () => {
    const colours = await viewer.coloursAt([{ y: 50, x: 36 }, { y: 50, x: 36 + 37 }]);
    expect(colours[0]).not.toEqual([0, 0, 0]);
    // The rim of a cell has the colour of its label, not that of the stain.
    expect(colours[1]).not.toEqual(colours[0]);
    expect(viewer.problems).toEqual([]);
  });

  test("picks twelve cells exactly, large numbers and rims among them", async () => {
    const all = cells(0);
    const wanted = [0, 10, 41, 76, 127, 300, 455, 599].map((i) => all[i]!)
      .concat([256, 512, 1024, 1280].map((y) => all.find((cell) => Math.abs(cell.y - y) < 40 && cell.x > 300)!));
    for (const { label, y, x } of wanted) {
      await viewer.look(y, x, 4);
      expect(await viewer.click(), `the middle of ${label}`).toBe(label);
    }
    expect(viewer.problems).toEqual([]);
  });

  test("picks to the pixel at the rim of a cell and at the border of tiles", async () => {
    const rim = [[256, 255], [256, 256], [255, 255], [511, 512], [512, 511], [768, 767]] as const;
    for (const [y, x] of rim) {
      await viewer.look(y, x, 8);
      expect(await viewer.click(), `y ${y}, x ${x}`).toBe(labelAt(0, y, x));
    }
    const [cell] = cells(0).slice(32, 33);
    for (const reach of [36, 37, 38, 39, 40]) {
      await viewer.look(cell!.y, cell!.x + reach, 16);
      expect(await viewer.click(), `${reach} px from the middle`)
        .toBe(labelAt(0, cell!.y, cell!.x + reach));
    }
  });

  test("draws again after the graphics context was lost", async () => {
    const before = await viewer.page.screenshot({ clip: await viewer.stageBox() });
    await viewer.page.evaluate(() => {
      const gl = document.querySelector("canvas")!.getContext("webgl2")!;
      const extension = gl.getExtension("WEBGL_lose_context")!;
      extension.loseContext();
      return new Promise<void>((resolve) => {
        setTimeout(() => extension.restoreContext(), 100);
        document.querySelector("canvas")!.addEventListener("webglcontextrestored", () => resolve());
      });
    });
    await viewer.settle();
    expect(before.equals(await viewer.page.screenshot({ clip: await viewer.stageBox() }))).toBe(true);
    await viewer.look(50, 36, 4);
    expect(await viewer.click()).toBe(1);
  });

  test("keeps no more textures than there is room for, and draws only on change", async () => {
    for (const scale of [0.3, 0.6, 1, 2]) {
      for (let x = 200; x < 3000; x += 700) await viewer.look(1000, x, scale);
    }
    const { live, bytes } = await viewer.textures();
    expect(live).toBeGreaterThan(20);
    expect(bytes).toBeLessThan(256 * 2 ** 20);
    const drawn = (await viewer.textures()).draws;
    await viewer.page.waitForTimeout(400);
    expect((await viewer.textures()).draws).toBe(drawn);
  });

  test("zooms far in and far out by wheel, and back to the whole image", async () => {
    const { x, y, width, height } = await viewer.stageBox();
    await viewer.page.mouse.move(x + width / 2, y + height / 2);
    for (let i = 0; i < 40; i++) await viewer.page.mouse.wheel(0, -300);
    await viewer.settle();
    expect((await viewer.camera())?.scale).toBe(64);
    for (let i = 0; i < 60; i++) await viewer.page.mouse.wheel(0, 300);
    await viewer.settle();
    expect((await viewer.camera())?.scale).toBeLessThan(0.2);
    await viewer.page.getByRole("button", { name: "Fit" }).click();
    expect(await viewer.camera()).toBeNull();
    expect(viewer.problems).toEqual([]);
  });

  test("fetches coarse tiles for the whole image and fine ones only where one looks", async () => {
    expect(server.asked.some((path) => path.includes("/image/0/"))).toBe(false);
    await viewer.look(1000, 1500, 2);
    const fine = server.asked.filter((path) => path.includes("/labels/0/"));
    expect(fine.length).toBeGreaterThan(0);
    expect(fine.length).toBeLessThan(20);
  });

  test("goes through time by keys and slider, and asks for the measurements of each frame", async () => {
    await viewer.page.locator(STAGE).focus();
    await viewer.page.keyboard.press(".");
    await viewer.settle();
    await viewer.page.getByLabel("Time", { exact: true }).fill("3");
    await viewer.settle();
    expect(await viewer.t()).toBe(3);
    const [cell] = cells(3).slice(41, 42);
    await viewer.look(cell!.y, cell!.x, 4);
    expect(await viewer.click()).toBe(2 ** 24 + 1);
    await expect.poll(() => viewer.page.locator(".viewer-details").textContent()).toContain("area");
  });

  test("plays", async () => {
    await viewer.page.locator(STAGE).focus();
    await viewer.page.keyboard.press("Space");
    const t = () => viewer.t();
    await expect.poll(t, { timeout: 15_000 }).toBeGreaterThan(1);
    await viewer.page.getByRole("button", { name: "Pause" }).click();
    const stopped = await t();
    await viewer.page.waitForTimeout(500);
    expect(await t()).toBe(stopped);
  });

  test("goes from a row of the table to the cell, and from the cell to its row", async () => {
    await viewer.page.getByText("Table of 600 tracks").click();
    await viewer.page.getByLabel("Number", { exact: true }).fill("70007");
    await viewer.page.keyboard.press("Enter");
    await viewer.settle();
    const camera = await viewer.camera();
    const wanted = cells(0).find(({ label }) => label === 70007)!;
    expect(camera).toMatchObject({ x_px: wanted.x, y_px: wanted.y });
    expect(await viewer.page.locator("tr[aria-selected=true]").textContent()).toContain("70007");
    const last = cells(0).at(-1)!;
    await viewer.look(last.y, last.x, 2);
    await viewer.click();
    await expect.poll(() => viewer.page.locator("tr[aria-selected=true]").textContent()).toContain("600");
  });

  test("shows what was picked elsewhere", async () => {
    await viewer.pick(300);
    const wanted = cells(0).find(({ label }) => label === 300)!;
    await expect.poll(() => viewer.camera())
      .toMatchObject({ x_px: wanted.x, y_px: wanted.y });
  });

  test("says what is amiss when tiles do not come, and takes them when they do", async () => {
    server.broken = { path: /\/image\/0\//, status: 404 };
    await viewer.aim(1000, 1500, 3);
    await expect.poll(() => viewer.page.locator(".viewer-message").textContent()).toContain("away for a moment");
    server.broken = null;
    await viewer.page.getByRole("button", { name: "Try again" }).click();
    await expect.poll(() => viewer.page.locator(".viewer-message").count()).toBe(0);
  });

  test("says so where the browser has no WebGL2; all else is there", async () => {
    await viewer.context.close();
    viewer = await ViewerPage.open(browser, server.url, { viewport: { width: 1200, height: 900 } }, withoutWebGl);
    expect(await viewer.page.locator(".viewer-message").textContent()).toContain("WebGL2");
    await viewer.page.getByText("Table of 600 tracks").click();
    expect(await viewer.page.locator(".viewer-table tbody tr").count()).toBeGreaterThan(10);
    expect(viewer.problems).toEqual([]);
  });

  test("is zoomed by two fingers", async () => {
    await viewer.context.close();
    viewer = await ViewerPage.open(browser, server.url, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    const { x, y, width, height } = await viewer.stageBox();
    const middle = { x: x + width / 2, y: y + height / 2 };
    const touch = await viewer.context.newCDPSession(viewer.page);
    const fingers = (apart: number) => [
      { x: middle.x - apart, y: middle.y, id: 0 }, { x: middle.x + apart, y: middle.y, id: 1 },
    ];
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: fingers(20) });
    for (const apart of [40, 80, 120]) {
      await touch.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: fingers(apart) });
    }
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await viewer.settle();
    expect((await viewer.camera())?.scale).toBeGreaterThan(0.5);
    // Nothing of the panel is wider than the telephone.
    expect(await viewer.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    expect(viewer.problems).toEqual([]);
  });
});


/** Runs in the page before its scripts. */
function withoutWebGl(): void {
  const { getContext } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string, ...rest: unknown[]) {
    return kind === "webgl2" ? null : (getContext as (...all: unknown[]) => unknown).call(this, kind, ...rest);
  } as typeof getContext;
}
