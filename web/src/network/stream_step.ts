// A network on one stream of frames: its state lives in LiteRT's memory between the steps.

import { type CompiledModel, Tensor } from "@litertjs/core";
import type { Manifest, Port } from "./manifest";

export class StreamStep {
  private state = new Map<string, Tensor>();
  private decay: number | null = null; // γ, where it is not the network's own

  /** Frames seen since the stream began. */
  frames = 0;

  constructor(
    private readonly model: CompiledModel,
    private readonly manifest: Manifest,
  ) {
    this.reset();
  }

  /** Forget the stream: the next frame is its first. */
  reset(): void {
    free(this.state.values());
    this.state = new Map(this.manifest.state.map((port) => [port.name, this.initial(port)]));
    this.frames = 0;
  }

  /** Seconds after which a frame's weight has fallen to 1/e, from the next frame on; null never forgets. */
  setMemory(seconds: number | null): void {
    this.decay = seconds === null ? 1 : Math.exp(-1 / (seconds * this.manifest.fps));
    const port = this.manifest.state.find(({ name }) => name === "decay");
    if (port === undefined) return;
    this.state.get(port.name)?.delete();
    this.state.set(port.name, this.initial(port));
  }

  /**
   * Show the network the stream's next frame.
   * @param pixels  as `values` gives them, of the network's size
   * @returns       logits, one a class
   * @throws Error  the runtime failed or answered no numbers; the stream begins anew
   */
  async push(pixels: Float32Array): Promise<Float32Array> {
    const { input, signature, state } = this.manifest;
    const inputs: Record<string, Tensor> = { [input.name]: new Tensor(pixels, input.shape) };
    for (const [name, tensor] of this.state) inputs[name] = tensor;
    let outputs: Record<string, Tensor> = {};
    const next = new Map<string, Tensor>();
    try {
      outputs = await this.model.run(signature, inputs);
      const logits = (await outputs["logits"]!.data()) as Float32Array;
      if (!logits.every(Number.isFinite)) throw new Error("the network answers with what is no number");
      for (const port of state) next.set(port.name, outputs[port.next] ?? inputs[port.next]!);
      this.frames++;
      return logits;
    } catch (error) {
      this.frames = 0;
      next.clear();
      throw error;
    } finally {
      // LiteRT frees nothing by itself: all goes but what the next step takes, which may have been an input.
      const kept = new Set(next.values());
      free([...Object.values(inputs), ...Object.values(outputs)].filter((tensor) => !kept.has(tensor)));
      this.state = next;
      if (next.size === 0) this.reset();
    }
  }

  /** Free what LiteRT holds; nothing may be called afterwards. */
  close(): void {
    free(this.state.values());
    this.state.clear();
    this.model.delete();
  }

  private initial({ name, dtype, shape, initial }: Port): Tensor {
    const length = shape.reduce((a, b) => a * b, 1);
    const value = name === "decay" && this.decay !== null ? this.decay : initial;
    return new Tensor((dtype === "int32" ? new Int32Array(length) : new Float32Array(length)).fill(value), shape);
  }
}

function free(tensors: Iterable<Tensor>): void {
  for (const tensor of tensors) tensor.delete();
}
