// LiteRT.js's runtime in the build: which one is shipped, packed, and that it asks for no graphics processor.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const WASM = new URL("../node_modules/@litertjs/core/wasm/", import.meta.url);
// Without relaxed SIMD, so that it runs in every browser that runs the page, and answers alike in all of them.
const SCRIPT = "litert_wasm_compat_internal.js";
const BINARY = "litert_wasm_compat_internal.wasm";
const CREATE = "Environment.create()";

/** Put the runtime beside the page, and say where as `RUNTIME`. Its WebAssembly is packed: not every host packs it. */
export function litertRuntime(): Plugin {
  const packed = gzipSync(readFileSync(new URL(BINARY, WASM)), { level: 9 });
  const told = { script: `runtime/${SCRIPT}`, packed: `runtime/${BINARY}.gz`, bytes: packed.length };
  return {
    name: "litert-runtime",
    config: () => ({ define: { RUNTIME: JSON.stringify(told) } }),
    generateBundle() {
      this.emitFile({ type: "asset", fileName: told.script, source: readFileSync(new URL(SCRIPT, WASM)) });
      this.emitFile({ type: "asset", fileName: told.packed, source: packed });
    },
  };
}

/** Have LiteRT.js ask for no graphics processor: it would take one only to keep it, and complain where there is none. */
export function withoutGraphics(): Plugin {
  return {
    name: "without-graphics",
    transform(code, id) {
      if (!id.includes("@litertjs/core")) return null;
      if (!code.includes(CREATE)) throw new Error(`${id} has no ${CREATE}: look at what makes its environment now`);
      return { code: code.replace(CREATE, "Environment.create({ webGpuDevice: null })"), map: null };
    },
  };
}
