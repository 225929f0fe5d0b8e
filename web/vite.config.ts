import { defineConfig } from "vite";
import { licenses } from "./build/licenses.ts";
import { litertRuntime, withoutGraphics } from "./build/runtime.ts";

// What this makes is committed: users need no Node. tests/web/test_build.py makes it again and compares.
export default defineConfig({
  base: "./", // any folder of any host
  plugins: [litertRuntime(), licenses()],
  worker: { format: "iife", plugins: () => [withoutGraphics()] }, // a classic one: LiteRT.js calls importScripts
  build: {
    outDir: "../src/movinet/serve/page",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy of content allows no data: scripts
    modulePreload: { polyfill: false },
    target: "es2022",
    rolldownOptions: {
      input: { page: "index.html", movinet: "src/library.ts" },
      preserveEntrySignatures: "strict",
      output: {
        entryFileNames: ({ name }) => (name === "movinet" ? "movinet.js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
