// LiteRT.js in a classic worker: its script, its WebAssembly (shipped packed), and a network compiled for it.

import { type CompiledModel, loadAndCompile, loadLiteRt } from "@litertjs/core";
import { download, type Progress, unpacked } from "./download";

declare const RUNTIME: { script: string; packed: string; bytes: number }; // from build/runtime.ts

/**
 * Load the runtime, once a worker: one thread, since more gain nothing here and need headers few hosts send. It lies
 * beside the folder of this script, see build/runtime.ts.
 */
export async function loadRuntime(progress: Progress): Promise<void> {
  const beside = (path: string) => new URL(`../${path}`, self.location.href).href;
  const packed = await download(beside(RUNTIME.packed), "The runtime", RUNTIME.bytes, progress);
  const module = await WebAssembly.compile(await unpacked(packed));
  const failed = new Promise<never>((_, reject) => {
    const instantiateWasm = (
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ) => {
      WebAssembly.instantiate(module, imports).then((instance) => done(instance, module), reject);
      return {};
    };
    // Emscripten's script looks here; it reports its delegates as errors.
    Object.assign(self, { Module: { instantiateWasm, print: () => {}, printErr: () => {} } });
  });
  await Promise.race([loadLiteRt(beside(RUNTIME.script)), failed]);
}

export async function compile(network: Uint8Array): Promise<CompiledModel> {
  return loadAndCompile(network, { accelerator: "wasm" });
}
