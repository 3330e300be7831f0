/// <reference types="node" />
// The viewer's test page in a browser: where one looks, what one clicks, what lies on the graphics card.

import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";

import { SIZES } from "./madeUpJob";
import type { TestHandles } from "./pages/viewer";

export const STAGE = ".viewer-stage";

interface Textures {
  live: number;
  bytes: number;
  draws: number;
}
interface Handles {
  viewer: TestHandles;
  textures: Textures;
}

export class ViewerPage {
  readonly problems: string[] = [];

  private constructor(readonly context: BrowserContext, readonly page: Page) {
    page.on("pageerror", (error) => this.problems.push(error.message));
    page.on("console", (message) => { if (message.type() === "error") this.problems.push(message.text()); });
  }

  /** `script` runs in the page before its own scripts; the viewer need not draw then. */
  static async open(
    browser: Browser, url: string, options: BrowserContextOptions, script?: () => void,
  ): Promise<ViewerPage> {
    const context = await browser.newContext(options);
    const opened = new ViewerPage(context, await context.newPage());
    await opened.page.addInitScript(script ?? countTextures);
    await opened.page.goto(url);
    await opened.page.waitForSelector(STAGE);
    if (!script) await opened.settle();
    return opened;
  }

  /** Until all that is in sight is sharp. */
  async settle(): Promise<void> {
    await this.page.waitForTimeout(60);
    await this.page.waitForSelector(".viewer-loading.viewer-is-done", { state: "attached", timeout: 20_000 });
    await this.page.waitForTimeout(60);
  }

  async stageBox() {
    return (await this.page.locator(STAGE).boundingBox())!;
  }

  /** A pixel of the image in the middle of the view. */
  async look(y: number, x: number, scale: number): Promise<void> {
    await this.aim(y, x, scale);
    await this.settle();
  }

  async aim(y: number, x: number, scale: number): Promise<void> {
    await this.page.evaluate(([y_px, x_px, scale]) => {
      (window as unknown as Handles).viewer.camera.value = { y_px: y_px!, x_px: x_px!, scale: scale! };
    }, [y + 0.5, x + 0.5, scale]);
  }

  /** What a click into the middle of the view picks. */
  async click(): Promise<number> {
    const before = (await this.picks()).length;
    const box = await this.stageBox();
    await this.page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    await expect.poll(async () => (await this.picks()).length).toBe(before + 1);
    return (await this.picks()).at(-1)!;
  }

  private picks(): Promise<number[]> {
    return this.page.evaluate(() => (window as unknown as Handles).viewer.picks);
  }

  camera() {
    return this.page.evaluate(() => (window as unknown as Handles).viewer.camera.value);
  }

  t(): Promise<number> {
    return this.page.evaluate(() => (window as unknown as Handles).viewer.t.value);
  }

  pick(label: number): Promise<void> {
    return this.page.evaluate((picked) => { (window as unknown as Handles).viewer.picked.value = picked; }, label);
  }

  textures(): Promise<Textures> {
    return this.page.evaluate(() => (window as unknown as Handles).textures);
  }

  /** Colours on the screen at pixels of the fully shown image, read out of a screenshot by the browser. */
  async coloursAt(spots: { y: number; x: number }[]): Promise<number[][]> {
    const box = await this.stageBox();
    const shot = (await this.page.screenshot({ clip: box })).toString("base64");
    const scale = Math.min(box.width / SIZES.x, box.height / SIZES.y);
    const places = spots.map(({ y, x }) => [
      Math.round(box.width / 2 + (x - SIZES.x / 2) * scale), Math.round(box.height / 2 + (y - SIZES.y / 2) * scale),
    ]);
    return this.page.evaluate(async ([shot, places]) => {
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
