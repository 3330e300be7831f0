/// <reference types="node" />
// Builds a test page the way the real one is built: no dev server, whose scripts the policy would refuse.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { build } from "vite";

export interface BuiltPage {
  folder: string;
  remove(): Promise<void>;
}

/** Every HTML file named is a page of its own. */
export async function buildPages(root: string, names: string[]): Promise<BuiltPage> {
  const folder = await mkdtemp(join(tmpdir(), "kiosk-page-"));
  await build({
    root, configFile: false, base: "/", logLevel: "warn",
    build: { outDir: folder, emptyOutDir: true, rolldownOptions: { input: names.map((name) => join(root, name)) }, assetsInlineLimit: 0, target: "es2022", modulePreload: { polyfill: false } },
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  });
  return { folder, remove: () => rm(folder, { recursive: true }) };
}
