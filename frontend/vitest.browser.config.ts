import { defineConfig } from "vitest/config";

// Tests in a real browser: npm run test:browser. Needs Chromium; see browser/chromium.ts.
export default defineConfig({
  test: {
    environment: "node",
    include: ["browser/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One browser at a time: they draw on the processor.
    fileParallelism: false,
  },
});
