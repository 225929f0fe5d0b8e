// A MoViNet on one stream of frames: the network's state stays in `ort` tensors between the calls.
// Works wherever ONNX Runtime Web does; `ort` is handed in, so that the page chooses which build.

export class Recognizer {
  /**
   * @param ort      the module onnxruntime-web
   * @param folder   address of the exported folder, ending in "/"
   * @param options  of the session, such as {executionProviders: ["webgpu"]}
   */
  static async load(ort, folder = "./", options = { executionProviders: ["wasm"] }) {
    const manifest = await (await fetch(folder + "movinet_manifest.json")).json();
    const model = await (await fetch(folder + manifest.model)).arrayBuffer();
    return new Recognizer(ort, manifest, await ort.InferenceSession.create(new Uint8Array(model), options));
  }

  constructor(ort, manifest, session) {
    Object.assign(this, { ort, manifest, session });
    this.reset();
  }

  /** Forget the stream. `seconds` after which older frames fade; Infinity never forgets (right for clips). */
  reset(seconds = Infinity) {
    this.state = {};
    for (const { name, dtype, shape, initial } of this.manifest.state) {
      const values = new (dtype === "int32" ? Int32Array : Float32Array)(shape.reduce((a, b) => a * b, 1));
      const forgets = name === "decay" && seconds < Infinity;
      this.state[name] = new this.ort.Tensor(
        dtype, values.fill(forgets ? Math.exp(-1 / (seconds * this.manifest.fps)) : initial), shape);
    }
  }

  /**
   * Show the network the stream's next frame.
   * @param image  {data, width, height} of the network's size, as `prepare` gives it
   * @returns      [{label, probability}], likeliest first
   */
  async push(image) {
    const { input, state, transform } = this.manifest;
    const frames = new this.ort.Tensor("float32", planes(image, transform.scale), input.shape);
    const outputs = await this.session.run({ [input.name]: frames, ...this.state });
    const before = this.state;
    this.state = {};
    for (const { name, next } of state) this.state[name] = outputs[next] ?? before[next];
    return this.answer(outputs.logits.data);
  }

  answer(logits) {
    const largest = Math.max(...logits);
    const odds = Array.from(logits, (x) => Math.exp(x - largest));
    const sum = odds.reduce((a, b) => a + b, 0);
    const sigmoid = this.manifest.answer.startsWith("sigmoid");
    return odds
      .map((odd, i) => ({
        label: this.manifest.labels?.[i] ?? `class ${i}`,
        probability: sigmoid ? 1 / (1 + Math.exp(-logits[i])) : odd / sum,
      }))
      .sort((a, b) => b.probability - a.probability);
  }
}

/** What of a picture the network sees: the center crop after a resize, in the picture's own pixels. */
export function crop(width, height, { size: [h, w], resize_short }) {
  const factor = Math.max(resize_short / Math.min(width, height), h / height, w / width);
  const [tall, wide] = [Math.max(1, Math.trunc(height * factor)), Math.max(1, Math.trunc(width * factor))];
  const [top, left] = [Math.floor((tall - h) / 2), Math.floor((wide - w) / 2)];
  return [(left / wide) * width, (top / tall) * height, (w / wide) * width, (h / tall) * height];
}

/** The network's view of a <video> or image, drawn on `canvas`, which becomes of that size. */
export function prepare(picture, width, height, transform, canvas) {
  [canvas.height, canvas.width] = transform.size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, ...crop(width, height, transform), 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** RGBA bytes to the three planes the network wants. */
function planes({ data, width, height }, [low, high]) {
  const count = width * height;
  const values = new Float32Array(3 * count);
  for (let i = 0; i < count; i++)
    for (let channel = 0; channel < 3; channel++)
      values[channel * count + i] = low + (data[4 * i + channel] / 255) * (high - low);
  return values;
}
