// A network in a worker, for one stream of pictures.

import { probabilities } from "../stream/answer";
import type { Progress } from "./download";
import { labelsOf, type Manifest } from "./manifest";
import { crop } from "./pixels";
import type { Asked, Told } from "./worker";

/** What the network thinks after a frame. */
export interface Prediction {
  probabilities: Float32Array; // in the order of `labels`
  logits: Float32Array;
  frames: number; // that the network has seen since the stream began
  ms: number; // the step took
}

type Picture = HTMLVideoElement | HTMLImageElement | HTMLCanvasElement | ImageBitmap;

interface Waiting {
  resolve(answer: Prediction): void;
  reject(error: Error): void;
}

export class Recognizer {
  readonly labels: readonly string[];
  private readonly waiting = new Map<number, Waiting>();
  private number = 0;

  private constructor(
    readonly manifest: Manifest,
    private readonly worker: Worker,
  ) {
    this.labels = labelsOf(manifest);
  }

  /**
   * Load an exported network, and the runtime that lies beside this script.
   * @param folder    address of the folder with `movinet_manifest.json`
   * @param progress  called with what is loaded, bytes so far and bytes in all
   * @throws Error    a file is missing or damaged; the message is for people
   */
  static async load(folder = "./", progress: Progress = () => {}): Promise<Recognizer> {
    const base = new URL(folder, document.baseURI).href;
    const manifest = await readManifest(base);
    const worker = new Worker(new URL("./worker.ts", import.meta.url));
    const recognizer = new Recognizer(manifest, worker);
    await new Promise<void>((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message || "The worker could not be started."));
      worker.onmessage = ({ data }: MessageEvent<Told>) => {
        if (data.kind === "progress") progress(data.what, data.loaded, data.total);
        else if (data.kind === "failed") reject(new Error(data.message));
        else if (data.kind === "loaded") resolve();
      };
      recognizer.ask({ kind: "load", folder: base, manifest });
    }).catch((error: unknown) => {
      worker.terminate();
      throw error;
    });
    worker.onmessage = ({ data }: MessageEvent<Told>) => recognizer.take(data);
    worker.onerror = (event) => recognizer.fail(null, event.message || "The worker has ended.");
    return recognizer;
  }

  /** Show the network the stream's next picture, `manifest.fps` of them a second. */
  async push(picture: Picture): Promise<Prediction> {
    const video = picture instanceof HTMLVideoElement;
    const image = picture instanceof HTMLImageElement;
    const width = video ? picture.videoWidth : image ? picture.naturalWidth : picture.width;
    const height = video ? picture.videoHeight : image ? picture.naturalHeight : picture.height;
    if (!width || !height) throw new Error("The picture has no pixels yet.");
    const bitmap = picture instanceof ImageBitmap ? picture : await createImageBitmap(picture);
    const part = crop(width, height, this.manifest.transform);
    return this.answered((id) => ({ kind: "frame", id, picture: bitmap, part }), [bitmap]);
  }

  /** The same with RGBA bytes of the network's own size. */
  async pushPixels(rgba: Uint8ClampedArray): Promise<Prediction> {
    return this.answered((id) => ({ kind: "pixels", id, rgba }), []);
  }

  /** Forget the stream: the next picture is its first. */
  reset(): void {
    this.ask({ kind: "reset" });
  }

  /** Seconds after which a frame's weight has fallen to 1/e; null never forgets, which is right for clips alone. */
  setMemory(seconds: number | null): void {
    this.ask({ kind: "memory", seconds });
  }

  /** End the worker; pictures on their way are given up. */
  close(): void {
    this.worker.terminate();
    this.fail(null, "The network was closed.");
  }

  private answered(asked: (id: number) => Asked, given: Transferable[]): Promise<Prediction> {
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.ask(asked(id), given);
    });
  }

  private ask(asked: Asked, given: Transferable[] = []): void {
    this.worker.postMessage(asked, given);
  }

  private take(told: Told): void {
    if (told.kind === "failed") return this.fail(told.id, told.message);
    if (told.kind !== "answer") return;
    const { id, logits, frames, ms } = told;
    const multiLabel = this.manifest.answer.startsWith("sigmoid");
    this.waiting.get(id)?.resolve({ probabilities: probabilities(logits, multiLabel), logits, frames, ms });
    this.waiting.delete(id);
  }

  private fail(id: number | null, message: string): void {
    for (const number of id === null ? [...this.waiting.keys()] : [id]) {
      this.waiting.get(number)?.reject(new Error(message));
      this.waiting.delete(number);
    }
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  const response = await fetch(new URL("movinet_manifest.json", folder)).catch(() => null);
  if (response === null) throw new Error("There is no connection to the files of this page.");
  if (!response.ok) throw new Error(`There is no movinet_manifest.json here (the host answered ${response.status}).`);
  const manifest = (await response.json()) as Manifest;
  if (!manifest.model?.endsWith(".tflite") || !Array.isArray(manifest.state))
    throw new Error("This folder holds another kind of network: export it with --to browser.");
  return manifest;
}
