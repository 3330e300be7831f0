import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { defineConfig } from "vitest/config";

/** Notes in the build what it was made from, so that a test without Node can tell a stale one. */
function noteSources() {
  return {
    name: "note-sources",
    closeBundle() {
      const root = import.meta.dirname;
      const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
        .filter((path) => /\.(tsx?|css)$/.test(path) && !/\.test\.tsx?$/.test(path))
        .map((path) => `src/${path}`);
      const paths = ["index.html", "package-lock.json", ...sources].sort();
      const hash = createHash("sha256");
      for (const path of paths) hash.update(`${path}\0`).update(readFileSync(join(root, path)));
      writeFileSync(join(root, "dist", "sources.sha256"), `${hash.digest("hex")}\n`);
    },
  };
}

export default defineConfig({
  // The server has one flat folder of files below this address.
  base: "/static/",
  plugins: [noteSources()],
  publicDir: false,
  build: {
    outDir: "dist",
    assetsDir: "",
    // Everything is a file of its own: the content security policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    license: { fileName: "licenses.md" },
  },
  server: {
    // `npm run dev` beside a running kiosk.
    proxy: { "/api": "http://127.0.0.1:8080" },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
  },
});
