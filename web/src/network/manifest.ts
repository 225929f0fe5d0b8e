// What `movinet export` says of a network, as far as a page needs it; docs/export.md has the whole.

export interface Transform {
  size: [number, number]; // height, width of what the network sees
  resize_short: number;
  fps: number;
  scale?: [number, number]; // what 0 and 255 become
}

export interface Port {
  name: string;
  shape: number[];
  dtype: "float32" | "int32";
  initial: number;
  next: string; // the output, or the other input, that it is in the next step
}

interface Interval {
  value: number;
  low: number;
  high: number;
}

/** Thresholds that were chosen by measurement: `movinet.weights.operating_point`. */
export interface OperatingPoint {
  on: number;
  off: number;
  shortest?: number;
  refractory?: number;
  warm_up?: number;
  by_label?: Record<string, { on?: number | null; off?: number | null; shortest?: number | null }>;
  ignore?: string[];
  memory?: number | null; // seconds; null forgot nothing
  precision?: string;
  hours?: number; // of streams it was measured on
  false_alarms?: Interval | null; // an hour
  missed?: Interval | null; // share of the events
}

export interface Manifest {
  model: string; // the file
  precision: string;
  signature: string;
  network: string;
  fps: number;
  input: { name: string; shape: number[] };
  state: Port[];
  answer: string; // "softmax of logits" or "sigmoid of logits"
  labels: string[] | null;
  transform: Transform;
  weights: { name: string; license: string; source: string; sha256: string };
  spec: { frames: number; num_classes: number };
  background?: string | null; // the label that is no event
  operating_point?: OperatingPoint | null;
  files?: Record<string, { bytes: number }>;
}

export function labelsOf(manifest: Manifest): string[] {
  return manifest.labels ?? Array.from({ length: manifest.spec.num_classes }, (_, i) => `class ${i}`);
}

/** Seconds: as the thresholds were chosen with, or else of the clips that the network was made for; null never forgets. */
export function usualMemory({ operating_point, spec, fps }: Manifest): number | null {
  return operating_point ? (operating_point.memory ?? null) : spec.frames / fps;
}
