// A stream to a network in this browser: pictures never leave the machine.

import type { OperatingPoint } from "../network/manifest";
import { usualMemory } from "../network/manifest";
import type { Prediction, Recognizer } from "../network/recognizer";
import { top } from "./answer";
import { type Changes, EventDetector, type Thresholds } from "./events";
import { Pacer } from "./pacer";
import { type About, FEW, type Session, SHOWN_OF_MANY, type Tell } from "./session";

const USUAL = { on: 0.5, off: 0.3 }; // where nothing was measured

export function aboutRecognizer({ manifest, labels }: Recognizer): About {
  const point = manifest.operating_point ?? null;
  const background = backgroundOf(manifest.background ?? null, labels);
  return {
    name: manifest.weights.name,
    labels,
    background,
    fps: manifest.fps,
    memory: usualMemory(manifest),
    thresholds: thresholdsOf(point, background),
    judged: point !== null && (point.precision ?? manifest.precision) === manifest.precision ? point : null,
    license: manifest.weights.license,
    source: manifest.weights.source,
    precision: manifest.precision,
  };
}

/** The label that is no event, by name where nothing says which it is. */
export function backgroundOf(named: string | null, labels: readonly string[]): ReadonlySet<string> {
  return new Set(named === null ? labels.filter((label) => label === "other") : [named]);
}

export function thresholdsOf(point: Partial<OperatingPoint> | null, background: ReadonlySet<string>): Thresholds {
  const { on, off, shortest = 0, refractory = 0, warm_up = 0, by_label = {}, ignore = [] } = { ...USUAL, ...point };
  const byLabel = new Map(Object.entries(by_label));
  return { on, off, shortest, refractory, warmUp: warm_up, byLabel, ignore: new Set([...background, ...ignore]) };
}

export class LocalSession implements Session {
  private readonly pacer: Pacer;
  private readonly detector: EventDetector;
  private busy = false;
  private closed = false;
  private stream = 0; // answers to an earlier one come too late

  constructor(
    private readonly recognizer: Recognizer,
    thresholds: Thresholds,
    private readonly tell: Tell,
  ) {
    this.pacer = new Pacer(recognizer.manifest.fps);
    this.detector = new EventDetector(recognizer.labels, thresholds);
  }

  offer(picture: HTMLVideoElement, time: number, patient: boolean): boolean {
    if (this.closed) return true;
    if (patient && this.busy) return false;
    if (this.pacer.isGap(time)) this.reset();
    if (!this.pacer.isDue(time)) return true;
    if (this.busy) return this.tell({ kind: "dropped" }), true;
    this.busy = true;
    const stream = this.stream;
    const began = performance.now();
    this.recognizer
      .push(picture)
      .then((answer) => {
        if (stream === this.stream && !this.closed) this.take(answer, time, performance.now() - began);
      })
      .catch((error: Error) => {
        if (!this.closed) this.tell({ kind: "failed", message: error.message, again: true });
      })
      .finally(() => {
        this.busy = false;
      });
    return true;
  }

  reset(): void {
    this.finish();
    this.stream++;
    this.pacer.restart();
    this.recognizer.reset();
  }

  setMemory(seconds: number | null): void {
    this.recognizer.setMemory(seconds);
  }

  setThresholds(thresholds: Thresholds): void {
    this.detector.thresholds = thresholds;
  }

  finish(): void {
    this.tellOf(this.detector.finish());
  }

  close(): void {
    this.finish();
    this.closed = true;
  }

  private take({ probabilities, frames, ms }: Prediction, time: number, delay: number): void {
    const labels = this.recognizer.labels;
    this.tellOf(this.detector.push(probabilities, time));
    const told = top(labels, probabilities, labels.length <= FEW ? labels.length : 2 * SHOWN_OF_MANY);
    const running = this.detector.running;
    this.tell({ kind: "prediction", time, frames, top: told, running, delay, step: ms });
  }

  private tellOf({ begun, ended }: Changes): void {
    for (const event of begun) this.tell({ kind: "begun", event });
    for (const event of ended) this.tell({ kind: "ended", event });
  }
}
