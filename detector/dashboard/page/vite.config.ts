import { defineConfig } from "vitest/config";

// Nothing is inlined: the server's Content-Security-Policy allows files of its own alone.
export default defineConfig({
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  server: { proxy: { "/api": "http://127.0.0.1:8420" } },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
