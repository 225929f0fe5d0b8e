// One stream of pictures to a network, wherever it runs, and what it tells.

import type { OperatingPoint } from "../network/manifest";
import type { Likely } from "./answer";
import type { StreamEvent, Thresholds } from "./events";

/** What is known of a network before it sees anything. */
export interface About {
  name: string;
  labels: readonly string[];
  background: ReadonlySet<string>; // labels that are no events
  fps: number; // pictures a second it wants
  memory: number | null; // seconds it remembers by default; null never forgets
  thresholds: Thresholds; // by default: where it has some, those it was judged with
  judged: Partial<OperatingPoint> | null; // what was measured with them, in this precision
  license: string;
  source: string;
  precision: string;
}

export type Report =
  | {
      kind: "prediction";
      time: number; // seconds of the stream
      frames: number; // seen since the stream began
      top: Likely[]; // likeliest first
      running: StreamEvent[];
      delay: number; // milliseconds from the picture to the answer
      step: number | null; // milliseconds of that in the network
    }
  | { kind: "begun" | "ended"; event: StreamEvent }
  | { kind: "dropped" } // a picture came while the last was not answered
  | { kind: "failed"; message: string; again: boolean }; // again: it tries by itself

export type Tell = (report: Report) => void;

export interface Session {
  /**
   * A picture is there: it is looked at if it is due.
   * @param patient  it can wait: where an earlier one is not answered, it will be offered again
   * @returns        false where it shall wait
   */
  offer(picture: HTMLVideoElement, time: number, patient: boolean): boolean;
  /** The next picture is the first of a stream. */
  reset(): void;
  setMemory(seconds: number | null): void;
  setThresholds(thresholds: Thresholds): void;
  /** There are no more pictures: running events end. */
  finish(): void;
  close(): void;
}

/** Which labels are told of an answer: all of a few, the likeliest of many. */
export const FEW = 12;
export const SHOWN_OF_MANY = 6;
