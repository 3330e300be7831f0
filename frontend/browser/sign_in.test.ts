/// <reference types="node" />
// A kiosk that asks who is there: signing in and out, and a link for somebody without a key.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { executable, launch } from "./chromium";
import { Kiosk } from "./kiosk";

const kiosk = new Kiosk();
const REMEMBERED_MS = 2_500; // servers remember keys and links for two seconds
let browser: Browser;
let page: Page;

describe.skipIf(!executable)("a kiosk that asks who is there", () => {
  beforeAll(async () => {
    await kiosk.start({ KIOSK_AUTH__REQUIRED: "true" });
    browser = await launch();
  }, 200_000);
  afterAll(async () => {
    await browser?.close();
    await kiosk.stop();
  }, 60_000);

  test("signing in and out leaves nothing that a script could steal", async () => {
    const key = newKey();
    page = await browser.newPage();
    await page.goto(kiosk.url);
    await signIn("kiosk_nonsense");
    await page.getByRole("dialog").getByText(/no API key/).waitFor();
    await signIn(key);
    await page.getByText("alice").waitFor();
    expect(await page.evaluate(() => document.cookie)).toBe("");
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    expect(stored).not.toContain(key);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("dialog", { name: "Sign in" }).waitFor();
    await page.close();
  });

  test("a revoked key brings the question back", async () => {
    const key = newKey();
    page = await browser.newPage();
    await page.goto(kiosk.url);
    await signIn(key);
    await page.getByText("alice").waitFor();
    kiosk.python("-m", "kiosk.cli", "keys", "revoke", key.split("_")[1]!);
    await page.waitForTimeout(REMEMBERED_MS);
    await page.reload();
    await page.getByRole("dialog", { name: "Sign in" }).waitFor();
    await page.close();
  });

  test("a link shows a job, and nothing else, to somebody without a key", async () => {
    page = await browser.newPage();
    await page.goto(kiosk.url);
    await signIn(newKey());
    await page.locator("#files").setInputFiles(kiosk.image("one.tif"));
    await page.getByRole("button", { name: "Run 1 file" }).click();
    await page.getByRole("row").filter({ hasText: "one.tif" }).getByText("Done").waitFor({ timeout: 60_000 });
    await page.getByRole("link", { name: "one.tif", exact: true }).click();
    await page.getByRole("button", { name: "Make a link" }).click();
    const link = await page.getByLabel(/Copy this link/).inputValue();
    const zarr = await page.getByLabel(/OME-Zarr/).inputValue();

    const context = await browser.newContext();
    const guest = await context.newPage();
    await guest.goto(link);
    await guest.getByRole("heading", { level: 1, name: "one.tif" }).waitFor();
    await guest.getByText(/Table of \d+ instances/).waitFor();
    await guest.getByRole("link", { name: "one_labels.tif" }).waitFor();
    for (const word of ["Cancel", "Delete", "Make a link", "Keep 30 days", "Withdraw", "Run again"]) {
      expect(await guest.getByRole("button", { name: word }).count(), word).toBe(0);
    }
    expect(await guest.evaluate(() => fetch("/api/v1/jobs").then((answer) => answer.status))).toBe(401);
    expect((await fetch(`${zarr}/.zattrs`)).status).toBe(200); // napari and others have no cookie

    await page.getByRole("button", { name: "Withdraw" }).click();
    await page.getByRole("button", { name: "Withdraw" }).waitFor({ state: "detached" });
    await guest.waitForTimeout(REMEMBERED_MS);
    await guest.goto(link);
    await guest.getByText(/withdrawn/).waitFor();
    expect((await fetch(`${zarr}/.zattrs`)).status).toBe(404);
    await context.close();
    await page.close();
  });
});

function newKey(): string {
  return kiosk.python("-m", "kiosk.cli", "keys", "create", "--owner", "alice").trim().split(/\s/)[0]!;
}

async function signIn(key: string): Promise<void> {
  await page.getByRole("dialog", { name: "Sign in" }).waitFor();
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}
