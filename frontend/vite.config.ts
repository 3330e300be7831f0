import { defineConfig } from "vitest/config";

export default defineConfig({
  // The server has one flat folder of files below this address.
  base: "/static/",
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
