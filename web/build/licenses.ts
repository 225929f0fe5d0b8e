// The licenses of what the page is made of and is not ours, as one file of the page.

import { existsSync, readFileSync } from "node:fs";
import type { Plugin } from "vite";

interface Package {
  name: string;
  version: string;
  license: string;
}

const MODULES = new URL("../node_modules/", import.meta.url);
const SHIPPED = ["@litertjs/core", "@litertjs/wasm-utils", "preact"];
const APACHE = new URL("../../LICENSE", import.meta.url); // the same as ours
const LITERT = "Copyright 2025 Google LLC"; // as its sources say: its packages bring no text

/** Write `licenses.txt`. */
export function licenses(): Plugin {
  return {
    name: "licenses",
    generateBundle() {
      let apache = false;
      const parts = SHIPPED.map((name) => {
        const read = (file: string) => readFileSync(new URL(`${name}/${file}`, MODULES), "utf8");
        const { version, license } = JSON.parse(read("package.json")) as Package;
        const heading = `${name} ${version} (${license})\n${"=".repeat(72)}\n`;
        if (existsSync(new URL(`${name}/LICENSE`, MODULES))) return heading + read("LICENSE");
        if (license !== "Apache-2.0") throw new Error(`${name} brings no license, and is under ${license}`);
        const text = apache ? "The same license.\n" : readFileSync(APACHE, "utf8");
        apache = true;
        return `${heading}${LITERT}\n\n${text}`;
      });
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: parts.join("\n\n") });
    },
  };
}
