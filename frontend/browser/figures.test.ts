/// <reference types="node" />
// Plots, lineage trees and comparisons in a real browser.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type BuiltPage, buildPages } from "./builtPage";
import { executable, launch } from "./chromium";
import { type FakeServer, serve } from "./fakeServer";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

let built: BuiltPage;
let server: FakeServer;
let browser: Browser;

describe.skipIf(!executable)("the figures of a job", () => {
  beforeAll(async () => {
    built = await buildPages(fileURLToPath(new URL("./pages", import.meta.url)), ["index.html", "figures.html"]);
    server = await serve(built.folder);
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await built?.remove();
  });

  test("a click on the plot of counts goes to the frame", async () => {
    const { page, problems } = await open("figures.html?show=plots");
    const box = (await page.locator(".u-over").first().boundingBox())!;
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    const t = await page.evaluate(() => (window as unknown as Handles).figures.t.value);
    expect(Math.abs(t - 29.5)).toBeLessThan(2);
    await page.getByText("Table of numbers").first().click();
    await page.getByRole("button", { name: "7", exact: true }).click();
    expect(await page.evaluate(() => (window as unknown as Handles).figures.t.value)).toBe(7);
    expect(problems).toEqual([]);
    await page.close();
  });

  test("a click on a branch picks the track at that frame; a track is found by its number", async () => {
    const { page, problems } = await open("figures.html?show=lineage");
    await page.getByLabel(/^Track 5,/).click();
    const { t, picked } = await page.evaluate(() => {
      const { figures } = window as unknown as Handles;
      return { t: figures.t.value, picked: figures.picked.value };
    });
    expect(picked).toBe(5);
    expect(t).toBeGreaterThanOrEqual(30);
    expect(t).toBeLessThan(43);
    await page.getByLabel("Find track").fill("4321");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.getByLabel(/^Track 4321,/).count()).toBe(1);
    await page.evaluate(() => { (window as unknown as Handles).figures.picked.value = 102; });
    await expect.poll(() => page.getByLabel(/^Track 100,/).count()).toBe(1);
    expect(problems).toEqual([]);
    await page.close();
  });

  test("two pictures move together", async () => {
    const { page, problems } = await open("figures.html?show=compare");
    await page.getByRole("button", { name: "Zoom in" }).first().click();
    const zooms = page.locator(".viewer-zoom");
    expect(await zooms.first().textContent()).toBe(await zooms.last().textContent());
    await page.getByLabel("Time", { exact: true }).last().fill("2");
    expect(await page.getByLabel("Time", { exact: true }).first().inputValue()).toBe("2");
    expect(await page.locator(".compare-big").textContent()).toContain("91.2 %");
    expect(problems).toEqual([]);
    await page.close();
  });

  test.each(["index.html", "figures.html?show=plots", "figures.html?show=lineage", "figures.html?show=compare"])(
    "%s can be used without eyes or mouse, as far as a program can tell", async (address) => {
      for (const colorScheme of ["light", "dark"] as const) {
        const { page } = await open(address, colorScheme);
        await page.locator("summary").evaluateAll((all) => all.forEach((one) => one.parentElement!.setAttribute("open", "")));
        const { violations } = await page.evaluate(() => (window as unknown as Handles).axe.run());
        expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
        await page.close();
      }
    });
});

interface Handles {
  figures: { t: { value: number }; picked: { value: number } };
  axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
}

async function open(address: string, colorScheme: "light" | "dark" = "light"): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, colorScheme });
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
  await page.addInitScript({ path: AXE });
  await page.goto(`${server.url}/${address}`);
  await page.locator(".viewer-stage, .plot, .lineage").first().waitFor();
  await page.waitForTimeout(500);
  return { page, problems };
}
