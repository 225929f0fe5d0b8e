// What a network sees of a picture, as `movinet.video.transform` has it in Python.

import type { Transform } from "./manifest";

export interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The centre crop after a resize of the short side, in the picture's own pixels. */
export function crop(width: number, height: number, { size: [h, w], resize_short }: Transform): Part {
  const factor = Math.max(resize_short / Math.min(width, height), h / height, w / width);
  const tall = Math.max(1, Math.trunc(height * factor));
  const wide = Math.max(1, Math.trunc(width * factor));
  const top = Math.floor((tall - h) / 2);
  const left = Math.floor((wide - w) / 2);
  return { x: (left / wide) * width, y: (top / tall) * height, width: (w / wide) * width, height: (h / tall) * height };
}

/** RGBA bytes to RGB values (height × width × 3), 0 and 255 becoming the ends of `scale`. */
export function values(rgba: Uint8ClampedArray, [low, high]: [number, number] = [0, 1]): Float32Array {
  const count = rgba.length / 4;
  const out = new Float32Array(3 * count);
  // As numpy computes it, in float32, so that the same pixels give the same numbers.
  const factor = Math.fround((high - low) / 255);
  const table = Float32Array.from({ length: 256 }, (_, level) => Math.fround(Math.fround(level * factor) + low));
  for (let i = 0, from = 0, to = 0; i < count; i++, from += 4, to += 3) {
    out[to] = table[rgba[from]!]!;
    out[to + 1] = table[rgba[from + 1]!]!;
    out[to + 2] = table[rgba[from + 2]!]!;
  }
  return out;
}
