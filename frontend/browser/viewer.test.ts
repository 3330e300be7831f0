/// <reference types="node" />
// The viewer in a real browser: it draws, picks exactly, survives the loss of its graphics context.

import { fileURLToPath } from "node:url";

import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { type BuiltPage, buildPages } from "./builtPage";
import { executable, launch } from "./chromium";
import { type FakeServer, serve } from "./fakeServer";
import { cells, labelAt, SIZES } from "./madeUpJob";
import type { TestHandles } from "./pages/viewer";

const STAGE = ".viewer-stage";
const ROOT = fileURLToPath(new URL("./pages", import.meta.url));

let built: BuiltPage;
let server: FakeServer;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let problems: string[];

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
    await open({ viewport: { width: 1200, height: 900 } });
  });
  afterEach(() => context.close());

  test("draws the image and the outlines under the kiosk's content policy", async () => {
    const colours = await coloursAt([spot(50, 36), spot(50, 36 + 38)]);
    expect(colours[0]).not.toEqual([0, 0, 0]);
    // The rim of a cell has the colour of its label, not that of the stain.
    expect(colours[1]).not.toEqual(colours[0]);
    expect(problems).toEqual([]);
  });

  test("picks twelve cells exactly, large numbers and rims among them", async () => {
    const all = cells(0);
    const wanted = [0, 10, 41, 76, 127, 300, 455, 599].map((i) => all[i]!)
      .concat([256, 512, 1024, 1280].map((y) => all.find((cell) => Math.abs(cell.y - y) < 40 && cell.x > 300)!));
    for (const { label, y, x } of wanted) {
      await look(y, x, 4);
      expect(await click(y, x), `the middle of ${label}`).toBe(label);
    }
    expect(problems).toEqual([]);
  });

  test("picks to the pixel at the rim of a cell and at the border of tiles", async () => {
    const rim = [[256, 255], [256, 256], [255, 255], [511, 512], [512, 511], [768, 767]] as const;
    for (const [y, x] of rim) {
      await look(y, x, 8);
      expect(await click(y, x), `y ${y}, x ${x}`).toBe(labelAt(0, y, x));
    }
    const [cell] = cells(0).slice(32, 33);
    for (const reach of [36, 37, 38, 39, 40]) {
      await look(cell!.y, cell!.x + reach, 16);
      expect(await click(cell!.y, cell!.x + reach), `${reach} px from the middle`)
        .toBe(labelAt(0, cell!.y, cell!.x + reach));
    }
  });

  test("draws again after the graphics context was lost", async () => {
    const before = await page.screenshot({ clip: await stageBox() });
    await page.evaluate(() => {
      const gl = document.querySelector("canvas")!.getContext("webgl2")!;
      const extension = gl.getExtension("WEBGL_lose_context")!;
      extension.loseContext();
      return new Promise<void>((resolve) => {
        setTimeout(() => extension.restoreContext(), 100);
        document.querySelector("canvas")!.addEventListener("webglcontextrestored", () => resolve());
      });
    });
    await settle();
    expect(before.equals(await page.screenshot({ clip: await stageBox() }))).toBe(true);
    await look(50, 36, 4);
    expect(await click(50, 36)).toBe(1);
  });

  test("keeps no more textures than there is room for, and draws only on change", async () => {
    for (const scale of [0.3, 0.6, 1, 2]) {
      for (let x = 200; x < 3000; x += 700) await look(1000, x, scale);
    }
    const { live, bytes } = await page.evaluate(() => (window as unknown as { textures: Textures }).textures);
    expect(live).toBeGreaterThan(20);
    expect(bytes).toBeLessThan(256 * 2 ** 20);
    const drawn = await drawCalls();
    await page.waitForTimeout(400);
    expect(await drawCalls()).toBe(drawn);
  });

  test("zooms far in and far out by wheel, and back to the whole image", async () => {
    const { x, y, width, height } = await stageBox();
    await page.mouse.move(x + width / 2, y + height / 2);
    for (let i = 0; i < 40; i++) await page.mouse.wheel(0, -300);
    await settle();
    expect(await scale()).toBe(64);
    for (let i = 0; i < 60; i++) await page.mouse.wheel(0, 300);
    await settle();
    expect(await scale()).toBeLessThan(0.2);
    await page.getByRole("button", { name: "Fit" }).click();
    expect(await scale()).toBeNull();
    expect(problems).toEqual([]);
  });

  test("fetches coarse tiles for the whole image and fine ones only where one looks", async () => {
    expect(server.asked.some((path) => path.includes("/image/0/"))).toBe(false);
    await look(1000, 1500, 2);
    const fine = server.asked.filter((path) => path.includes("/labels/0/"));
    expect(fine.length).toBeGreaterThan(0);
    expect(fine.length).toBeLessThan(20);
  });

  test("goes through time by keys and slider, and asks for the measurements of each frame", async () => {
    await page.locator(STAGE).focus();
    await page.keyboard.press(".");
    await settle();
    await page.getByLabel("Time", { exact: true }).fill("3");
    await settle();
    expect(await page.evaluate(() => (window as unknown as Handles).viewer.t.value)).toBe(3);
    const [cell] = cells(3).slice(41, 42);
    await look(cell!.y, cell!.x, 4);
    expect(await click(cell!.y, cell!.x)).toBe(2 ** 24 + 1);
    await expect.poll(() => page.locator(".viewer-details").textContent()).toContain("area");
  });

  test("plays", async () => {
    await page.locator(STAGE).focus();
    await page.keyboard.press("Space");
    const t = () => page.evaluate(() => (window as unknown as Handles).viewer.t.value);
    await expect.poll(t, { timeout: 15_000 }).toBeGreaterThan(1);
    await page.getByRole("button", { name: "Pause" }).click();
    const stopped = await t();
    await page.waitForTimeout(500);
    expect(await t()).toBe(stopped);
  });

  test("goes from a row of the table to the cell, and from the cell to its row", async () => {
    await page.getByText("Table of 600 tracks").click();
    await page.getByLabel("Number", { exact: true }).fill("70007");
    await page.keyboard.press("Enter");
    await settle();
    const camera = await page.evaluate(() => (window as unknown as Handles).viewer.camera.value);
    const wanted = cells(0).find(({ label }) => label === 70007)!;
    expect(camera).toMatchObject({ x_px: wanted.x, y_px: wanted.y });
    expect(await page.locator("tr[aria-selected=true]").textContent()).toContain("70007");
    const last = cells(0).at(-1)!;
    await look(last.y, last.x, 2);
    await click(last.y, last.x);
    await expect.poll(() => page.locator("tr[aria-selected=true]").textContent()).toContain("600");
  });

  test("shows what was picked elsewhere", async () => {
    await page.evaluate(() => { (window as unknown as Handles).viewer.picked.value = 300; });
    const wanted = cells(0).find(({ label }) => label === 300)!;
    await expect.poll(() => page.evaluate(() => (window as unknown as Handles).viewer.camera.value))
      .toMatchObject({ x_px: wanted.x, y_px: wanted.y });
  });

  test("says what is amiss when tiles do not come, and takes them when they do", async () => {
    server.broken = /\/image\/0\//;
    await aim(1000, 1500, 3);
    await expect.poll(() => page.locator(".viewer-message").textContent()).toContain("away for a moment");
    server.broken = null;
    await page.getByRole("button", { name: "Try again" }).click();
    await expect.poll(() => page.locator(".viewer-message").count()).toBe(0);
  });

  test("is zoomed by two fingers", async () => {
    await context.close();
    await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    const { x, y, width, height } = await stageBox();
    const middle = { x: x + width / 2, y: y + height / 2 };
    const touch = await context.newCDPSession(page);
    const fingers = (apart: number) => [
      { x: middle.x - apart, y: middle.y, id: 0 }, { x: middle.x + apart, y: middle.y, id: 1 },
    ];
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: fingers(20) });
    for (const apart of [40, 80, 120]) {
      await touch.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: fingers(apart) });
    }
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await settle();
    expect(await scale()).toBeGreaterThan(0.5);
    // Nothing of the panel is wider than the telephone.
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
    expect(problems).toEqual([]);
  });
});

interface Textures {
  live: number;
  bytes: number;
  draws: number;
}
interface Handles {
  viewer: TestHandles;
}

async function open(options: Parameters<Browser["newContext"]>[0]): Promise<void> {
  context = await browser.newContext(options);
  page = await context.newPage();
  problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
  await page.addInitScript(countTextures);
  await page.goto(server.url);
  await page.waitForSelector(STAGE);
  await settle();
}

/** Runs in the page: counts what lies on the graphics card. */
function countTextures(): void {
  const counts = { live: 0, bytes: 0, draws: 0 };
  Object.assign(window, { textures: counts });
  const sizes = new WeakMap<object, number>();
  const gl = WebGL2RenderingContext.prototype;
  const { texImage2D, deleteTexture, drawArrays } = gl;
  gl.texImage2D = function (this: WebGL2RenderingContext, ...args: unknown[]) {
    const bytes = (args[8] as ArrayBufferView).byteLength;
    sizes.set(this.getParameter(this.TEXTURE_BINDING_2D) as object, bytes);
    counts.live += 1;
    counts.bytes += bytes;
    return (texImage2D as (...all: unknown[]) => void).apply(this, args);
  } as typeof texImage2D;
  gl.deleteTexture = function (this: WebGL2RenderingContext, texture) {
    counts.live -= 1;
    counts.bytes -= sizes.get(texture as object) ?? 0;
    return deleteTexture.call(this, texture);
  };
  gl.drawArrays = function (this: WebGL2RenderingContext, ...args) {
    counts.draws += 1;
    return drawArrays.apply(this, args);
  };
}

async function settle(): Promise<void> {
  await page.waitForTimeout(60);
  await page.waitForSelector(".viewer-loading.viewer-is-done", { state: "attached", timeout: 20_000 });
  await page.waitForTimeout(60);
}

async function stageBox() {
  return (await page.locator(STAGE).boundingBox())!;
}

/** Where a pixel of the image is on the screen when the whole image is shown. */
function spot(y: number, x: number) {
  return { y, x };
}

async function look(y: number, x: number, scale: number): Promise<void> {
  await aim(y, x, scale);
  await settle();
}

async function aim(y: number, x: number, scale: number): Promise<void> {
  await page.evaluate(([y_px, x_px, scale]) => {
    (window as unknown as Handles).viewer.camera.value = { y_px: y_px!, x_px: x_px!, scale: scale! };
  }, [y + 0.5, x + 0.5, scale]);
}

/** Click on what `look` put into the middle. */
async function click(y: number, x: number): Promise<number> {
  const before = await page.evaluate(() => (window as unknown as Handles).viewer.picks.length);
  const box = await stageBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const picks = () => page.evaluate(() => (window as unknown as Handles).viewer.picks);
  await expect.poll(async () => (await picks()).length, { message: `click at ${y}, ${x}` }).toBe(before + 1);
  return (await picks()).at(-1)!;
}

async function scale(): Promise<number | null> {
  return page.evaluate(() => (window as unknown as Handles).viewer.camera.value?.scale ?? null);
}

async function drawCalls(): Promise<number> {
  return page.evaluate(() => (window as unknown as { textures: Textures }).textures.draws);
}

/** Colours on the screen at pixels of the fully shown image, read out of a screenshot by the browser. */
async function coloursAt(spots: { y: number; x: number }[]): Promise<number[][]> {
  const box = await stageBox();
  const shot = (await page.screenshot({ clip: box })).toString("base64");
  const scale = Math.min(box.width / SIZES.x, box.height / SIZES.y);
  const places = spots.map(({ y, x }) => [
    Math.round(box.width / 2 + (x - SIZES.x / 2) * scale), Math.round(box.height / 2 + (y - SIZES.y / 2) * scale),
  ]);
  return page.evaluate(async ([shot, places]) => {
    const image = new Image();
    image.src = `data:image/png;base64,${shot as string}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    context.drawImage(image, 0, 0);
    return (places as number[][]).map(([x, y]) => [...context.getImageData(x!, y!, 1, 1).data.slice(0, 3)]);
  }, [shot, places] as const);
}
