/// <reference types="node" />
// Every page as it looks (light, dark, on a phone), and what axe finds wrong with it.
// With SCREENSHOTS=1 the pictures are kept in frontend/screenshots, to be looked at.

import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { executable, launch } from "./chromium";
import { CHECKOUT, Kiosk } from "./kiosk";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const FOLDER = process.env.SCREENSHOTS ? join(CHECKOUT, "frontend/screenshots") : "";
const LOOKS = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { name: "phone", colorScheme: "light", viewport: { width: 360, height: 780 } },
] as const;

const kiosk = new Kiosk();
let browser: Browser;

describe.skipIf(!executable)("how the pages look", () => {
  beforeAll(async () => {
    if (FOLDER) mkdirSync(FOLDER, { recursive: true });
    await kiosk.start();
    browser = await launch();
  }, 200_000);
  afterAll(async () => {
    await browser?.close();
    await kiosk.stop();
  }, 60_000);

  for (const look of LOOKS) {
    test(look.name, { timeout: 240_000 }, async () => {
      const context = await browser.newContext({ ...look, locale: "en-US", bypassCSP: true });
      const page = await context.newPage();
      const found: string[] = [];
      const see = async (name: string) => found.push(...(await seen(page, `${name}-${look.name}`)));
      await walk(page, see);
      await context.close();
      expect(found).toEqual([]);
    });
  }
});

/** Through all pages, in the order in which a person meets them. */
async function walk(page: Page, see: (name: string) => Promise<unknown>): Promise<void> {
  await page.goto(kiosk.url);
  await page.getByRole("button", { name: "Choose files" }).waitFor();
  await see("1-empty");
  const names = ["cells.ome.tif", "movie.tif", "broken.tif", "plate.zip"];
  await page.locator("#files").setInputFiles(names.map((name) => kiosk.image(name)));
  await page.getByRole("button", { name: "Run 2 files (3 images)" }).waitFor();
  await page.getByRole("button", { name: "Details of cells.ome.tif" }).click();
  await page.getByText("More settings").click();
  await see("2-files");
  await page.getByRole("button", { name: "Details of cells.ome.tif" }).click();
  await page.getByText("More settings").click();
  await page.getByRole("combobox", { name: /channel/i }).first().selectOption({ index: 1 });
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByText(/cells found here/).waitFor();
  await see("3-preview");
  await page.getByRole("button", { name: "Close the preview" }).click();
  await page.getByText("Follow cells through time").click();
  await page.getByRole("button", { name: "Run 3 files" }).click();
  await page.getByRole("link", { name: "movie.tif" }).first().waitFor();
  await see("4-running");
  await page.getByRole("link", { name: "movie.tif" }).first().click();
  await page.getByRole("tab", { name: "Lineage" }).waitFor({ timeout: 60_000 });
  await page.locator(".viewer-stage").click({ position: { x: 200, y: 150 } });
  await page.getByRole("slider", { name: "Time" }).fill("5");
  await see("5-tracks");
  await page.getByRole("tab", { name: "Plots" }).click();
  await page.locator(".uplot").first().waitFor();
  await see("6-plots");
  await page.getByRole("tab", { name: "Lineage" }).click();
  await page.locator("#tab-lineage svg, #tab-lineage canvas").first().waitFor();
  await see("7-lineage");
  await page.getByRole("button", { name: "Compare with…" }).click();
  await page.getByLabel("Label image").setInputFiles(kiosk.image("movie_truth.tif"));
  await page.getByText(/F1 at IoU 0.5/).first().waitFor({ timeout: 60_000 });
  await see("8-comparison");
  await page.goto(`${kiosk.url}/jobs/nothing`);
  await page.getByText(/There is no job/).waitFor();
  await see("9-not-there");
}

/** What axe finds, a line each. */
async function seen(page: Page, name: string): Promise<string[]> {
  await page.waitForTimeout(700); // fades end, tiles come
  if (FOLDER) await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true });
  await page.addScriptTag({ path: AXE });
  const results = await page.evaluate(() => (window as unknown as Axe).axe.run());
  return results.violations.map(({ id, nodes }) => `${name}: ${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

interface Axe {
  axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
}
