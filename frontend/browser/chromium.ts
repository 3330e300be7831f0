/// <reference types="node" />
// The browser that tests run in: the system's Chromium.

import { existsSync } from "node:fs";

import { type Browser, chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

export const executable = PLACES.find((path) => existsSync(path));

// No flags for WebGL: Chromium draws in software by itself where there is no graphics card.
export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: executable!, args: ["--no-sandbox", "--disable-background-networking"] });
}
