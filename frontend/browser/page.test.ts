/// <reference types="node" />
// The whole page in a real browser against a whole kiosk: what a biologist does, and what goes wrong.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Browser, BrowserContext, Download, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { executable, launch } from "./chromium";
import { Kiosk, until } from "./kiosk";

const kiosk = new Kiosk();
const DONE_WITHIN_MS = 60_000;
const HOSTILE = "<img src=x onerror=alert(1)>.tif";

let browser: Browser;
let context: BrowserContext;
let page: Page;
let problems: string[];

describe.skipIf(!executable)("the page", () => {
  beforeAll(async () => {
    await kiosk.start();
    browser = await launch();
  }, 200_000);
  afterAll(async () => {
    await browser?.close();
    await kiosk.stop();
  }, 60_000);
  beforeEach(() => visit());
  afterEach(async () => {
    await context.close();
    expect(problems).toEqual([]);
  });

  test("three dropped files become three jobs, whose cells are seen, picked and downloaded", async () => {
    await drop("one.tif", "two.tif", "three.tif");
    await page.getByRole("button", { name: "Run 3 files" }).click();
    for (const name of ["one.tif", "two.tif", "three.tif"]) await done(name);

    await page.getByRole("link", { name: "two.tif", exact: true }).click();
    await page.getByText(/Table of \d+ instances/).click();
    await page.getByRole("button", { name: /^Show Instance \d+/i }).nth(2).click();
    await page.getByRole("region", { name: /^Instance \d+/i }).getByText(/Area/i).first().waitFor();

    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "two_labels.tif" }).click(),
    ]);
    const counted = await count(download);
    const listed = Number((await page.getByText(/Table of \d+ instances/).innerText()).match(/\d+/)![0]);
    expect(counted).toBe(listed);
    expect(counted).toBeGreaterThan(10);
  });

  test("a click on a cell picks the one that the label image has there", async () => {
    await run("one.tif");
    await page.getByRole("link", { name: "one.tif", exact: true }).first().click();
    const job = new URL(page.url()).pathname.split("/").at(-1)!;
    await page.getByText(/Table of \d+ instances/).waitFor();
    const rows = (await fetched(`/api/v1/jobs/${job}/instances?t=0&z=0`)) as InstanceRows;
    const at = (name: string) => rows.columns.findIndex((column) => column.name === name);
    const row = rows.rows[4]!;
    const stage = (await page.locator(".viewer-stage").boundingBox())!;
    const scale = Math.min(stage.width, stage.height) / 256;
    const corner = { x: stage.x + (stage.width - 256 * scale) / 2, y: stage.y + (stage.height - 256 * scale) / 2 };
    await page.mouse.click(
      corner.x + (row[at("x_px")]! + 0.5) * scale, corner.y + (row[at("y_px")]! + 0.5) * scale,
    );
    await page.getByRole("region", { name: `Instance ${row[0]}` }).waitFor();
  });

  test("one bad file of several does not spoil the rest", async () => {
    writeFileSync(kiosk.image(HOSTILE), "no image at all");
    await choose("one.tif", "broken.tif", HOSTILE, "plate.zip");
    const bad = page.getByRole("listitem").filter({ hasText: "broken.tif" });
    await bad.getByText(/cut short/).waitFor();
    await page.getByRole("listitem").filter({ hasText: HOSTILE }).getByText("Cannot be read").waitFor();
    await page.getByRole("button", { name: "Run 2 files (3 images)" }).click();
    await done("A1.tif");
    await done("A2.tif");
    await bad.waitFor(); // it stays, with its sentence, until it is removed
    await page.getByRole("button", { name: "Remove broken.tif" }).click();
    await bad.waitFor({ state: "detached" });
  });

  test("an upload goes on after the server was killed", async () => {
    await slowly(1_500_000);
    await choose("big.tif");
    await sent(/^[1-9]\d?\s?%$/);
    kiosk.killServer();
    await page.getByText("Waiting for the connection").waitFor();
    await until(async () => (await answer("/api/v1/health")) === 200, 60_000, "the server did not come back");
    await page.getByText(/2,400 × 1,800 px/).waitFor({ timeout: DONE_WITHIN_MS });
    await page.getByRole("button", { name: "Run 1 file" }).waitFor();
  });

  test("an upload goes on after the tab was closed, when the file is chosen again", async () => {
    await slowly(1_500_000);
    await choose("big.tif");
    await sent(/^[3-9]\d\s?%$/); // of its five pieces the first is there
    await page.close();
    page = await context.newPage();
    watchForProblems();
    await page.goto(kiosk.url);
    await page.getByText("Choose the file again to go on").waitFor();
    const bodies: number[] = [];
    page.on("request", (request) => {
      if (request.method() === "PATCH") bodies.push(Number(request.headers()["upload-offset"]));
    });
    await choose("big.tif");
    await page.getByText(/2,400 × 1,800 px/).waitFor({ timeout: DONE_WITHIN_MS });
    expect(bodies[0]).toBeGreaterThan(0); // what had arrived was not sent again
  });

  test("jobs and finished uploads are still there in a new tab", async () => {
    await run("three.tif");
    await choose("two.tif");
    await page.getByRole("button", { name: "Run 1 file" }).waitFor();
    await page.close();
    page = await context.newPage();
    watchForProblems();
    await page.goto(kiosk.url);
    await page.getByRole("link", { name: "three.tif" }).first().waitFor();
    await page.getByRole("button", { name: "Run 1 file" }).waitFor();
    await page.getByRole("button", { name: "Remove two.tif" }).click();
  });

  test("a preview shows the cells of a tile before anything runs", async () => {
    await choose("movie.tif");
    await page.getByRole("button", { name: "Preview" }).click();
    await page.getByText(/\d+ cells found here/).waitFor();
    const listed = (await fetched("/api/v1/jobs?search=movie")) as { jobs: unknown[] };
    expect(listed.jobs).toEqual([]);
    await page.getByRole("button", { name: "Close the preview" }).click();
  });

  test("a movie is tracked: play, lineage and plots", async () => {
    await choose("movie.tif");
    await page.getByText("Follow cells through time").click();
    await page.getByRole("button", { name: "Run 1 file" }).click();
    await done("movie.tif");
    await page.getByRole("link", { name: "movie.tif", exact: true }).first().click();
    const frame = page.getByRole("slider", { name: "Time" });
    await page.getByRole("button", { name: "Play" }).click();
    await until(async () => Number(await frame.inputValue()) > 1, 10_000, "the movie does not play");
    await page.getByRole("tab", { name: "Plots" }).click();
    await page.getByText(/per frame/i).first().waitFor();
    await page.getByRole("tab", { name: "Lineage" }).click();
    await page.locator("#tab-lineage svg, #tab-lineage canvas").first().waitFor();
  });

  test("a result is compared with an uploaded ground truth", async () => {
    await choose("movie.tif");
    await page.getByRole("button", { name: "Run 1 file" }).click();
    await done("movie.tif");
    await page.getByRole("link", { name: "movie.tif", exact: true }).first().click();
    await page.getByRole("button", { name: "Compare with…" }).click();
    await page.getByLabel("Label image").setInputFiles(kiosk.image("movie_truth.tif"));
    await page.waitForURL(/\/compare\?/);
    const words = await page.getByText(/% F1 at IoU 0.5/).innerText();
    expect(Number.parseFloat(words)).toBeGreaterThan(90);
  });

  test("everything can be done with the keyboard", async () => {
    await page.locator("#files").setInputFiles(kiosk.image("one.tif")); // the system's own dialog
    await page.getByRole("button", { name: "Run 1 file" }).waitFor();
    await tabTo("Run 1 file");
    await page.keyboard.press("Enter");
    await done("one.tif");
    await tabTo("one.tif");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "one.tif" }).waitFor();
    await until(() => focused("H1"), 5_000, "the heading has no focus");
    await page.locator(".viewer-stage").focus();
    const zoom = page.locator(".viewer-zoom");
    const before = await zoom.innerText();
    await page.keyboard.press("+");
    await until(async () => (await zoom.innerText()) !== before, 5_000, "+ does not zoom");
    await tabTo("Delete");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("heading", { level: 1, name: "one.tif" }).waitFor();
  });

  test("a job is deleted after asking, and one that is not there is said so", async () => {
    await run("two.tif");
    await page.getByRole("link", { name: "two.tif", exact: true }).first().click();
    await page.getByRole("heading", { level: 1, name: "two.tif" }).waitFor();
    const address = page.url();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "Jobs" }).waitFor();
    await page.goto(address);
    await page.getByText(/There is no job/).waitFor();
  });
});

// ---------------------------------------------------------------- what a person does

interface InstanceRows {
  columns: { name: string }[];
  rows: number[][];
}

async function visit(): Promise<void> {
  context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US" });
  page = await context.newPage();
  watchForProblems();
  await page.goto(kiosk.url);
  await page.getByRole("button", { name: "Choose files" }).waitFor();
}

/** Errors of scripts, and what the content policy refuses. */
function watchForProblems(): void {
  problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
}

async function choose(...names: string[]): Promise<void> {
  await page.locator("#files").setInputFiles(names.map((name) => kiosk.image(name)));
}

/** As from a file manager: a drop of files onto the page. */
async function drop(...names: string[]): Promise<void> {
  const files = names.map((name) => ({
    name, base64: kiosk.python("-c", `import base64;print(base64.b64encode(open(${JSON.stringify(kiosk.image(name))},"rb").read()).decode())`),
  }));
  const transfer = await page.evaluateHandle((sent) => {
    const data = new DataTransfer();
    for (const { name, base64 } of sent) {
      const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
      data.items.add(new File([bytes], name, { type: "image/tiff" }));
    }
    return data;
  }, files);
  await page.dispatchEvent("body", "dragenter", { dataTransfer: transfer });
  await page.dispatchEvent("body", "dragover", { dataTransfer: transfer });
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

async function run(name: string): Promise<void> {
  await choose(name);
  await page.getByRole("button", { name: "Run 1 file" }).click();
  await done(name);
}

async function done(name: string): Promise<void> {
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) }).first();
  await row.getByText("Done").waitFor({ timeout: DONE_WITHIN_MS });
}

async function sent(share: RegExp): Promise<void> {
  await page.getByRole("list", { name: "Files" }).getByText(share).first().waitFor();
}

async function slowly(bytesPerSecond: number): Promise<void> {
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.emulateNetworkConditions", {
    offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond,
  });
}

async function tabTo(words: string): Promise<void> {
  for (let i = 0; i < 120; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement | null;
      return element?.getAttribute("aria-label") ?? element?.innerText ?? "";
    });
    if (at.trim() === words) return;
  }
  throw new Error(`no way to "${words}" with the Tab key`);
}

function focused(tag: string): Promise<boolean> {
  return page.evaluate((wanted) => document.activeElement?.tagName === wanted, tag);
}

async function fetched(path: string): Promise<unknown> {
  return (await fetch(kiosk.url + path)).json();
}

async function answer(path: string): Promise<number> {
  try {
    return (await fetch(kiosk.url + path)).status;
  } catch {
    return 0;
  }
}

/** How many instances a downloaded label image has, read by another program. */
async function count(download: Download): Promise<number> {
  const path = join(kiosk.home, download.suggestedFilename());
  await download.saveAs(path);
  const code = `import sys, tifffile, numpy; print(len(numpy.unique(tifffile.imread(sys.argv[1]))) - 1)`;
  return Number(kiosk.python("-c", code, path));
}
