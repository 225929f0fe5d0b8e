// The network beside the page: what takes time happens here, so that the page stays responsive.

import { download } from "./download";
import type { Manifest } from "./manifest";
import { type Part, values } from "./pixels";
import { compile, loadRuntime } from "./runtime";
import { StreamStep } from "./stream_step";

export type Asked =
  | { kind: "load"; folder: string; manifest: Manifest }
  | { kind: "frame"; id: number; picture: ImageBitmap; part: Part }
  | { kind: "pixels"; id: number; rgba: Uint8ClampedArray } // of the network's own size
  | { kind: "reset" }
  | { kind: "memory"; seconds: number | null };

export type Told =
  | { kind: "progress"; what: string; loaded: number; total: number }
  | { kind: "loaded" }
  | { kind: "answer"; id: number; logits: Float32Array; frames: number; ms: number }
  | { kind: "failed"; id: number | null; message: string };

let step: StreamStep | undefined;
let scale: [number, number] = [0, 1];
let canvas: OffscreenCanvasRenderingContext2D;

// One thing after the other: the state belongs to one step at a time.
let queue: Promise<void> = Promise.resolve();
self.onmessage = ({ data }: MessageEvent<Asked>) => {
  queue = queue.then(() => answer(data)).catch((error: unknown) => {
    tell({ kind: "failed", id: "id" in data ? data.id : null, message: wording(error) });
  });
};

async function answer(asked: Asked): Promise<void> {
  switch (asked.kind) {
    case "load":
      return load(asked);
    case "reset":
      return step?.reset();
    case "memory":
      return step?.setMemory(asked.seconds);
    case "frame":
      return push(asked.id, seen(asked.picture, asked.part));
    case "pixels":
      return push(asked.id, asked.rgba);
  }
}

async function load({ folder, manifest }: Asked & { kind: "load" }): Promise<void> {
  const [height, width] = manifest.transform.size;
  canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, alpha: false })!;
  canvas.imageSmoothingQuality = "high";
  scale = manifest.transform.scale ?? [0, 1];
  const progress = (what: string, loaded: number, total: number) => tell({ kind: "progress", what, loaded, total });
  const bytes = manifest.files?.[manifest.model]?.bytes ?? 0;
  const [network] = await Promise.all([
    download(new URL(manifest.model, folder).href, "The network", bytes, progress),
    loadRuntime(progress),
  ]);
  step = new StreamStep(await compile(network), manifest);
  tell({ kind: "loaded" });
}

function seen(picture: ImageBitmap, { x, y, width, height }: Part): Uint8ClampedArray {
  const { canvas: small } = canvas;
  canvas.drawImage(picture, x, y, width, height, 0, 0, small.width, small.height);
  picture.close();
  return canvas.getImageData(0, 0, small.width, small.height).data;
}

async function push(id: number, rgba: Uint8ClampedArray): Promise<void> {
  if (step === undefined) throw new Error("The network is not loaded yet.");
  const start = performance.now();
  const logits = await step.push(values(rgba, scale));
  const told: Told = { kind: "answer", id, logits, frames: step.frames, ms: performance.now() - start };
  tell(told);
}

function tell(told: Told): void {
  self.postMessage(told);
}

function wording(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
