// All that the page knows while it watches one stream; views read it and are told when it changes.

import { type Chosen, type Heard, Player } from "./source/player";
import type { Likely } from "./stream/answer";
import type { StreamEvent, Thresholds } from "./stream/events";
import type { About, Report, Session, Tell } from "./stream/session";
import { SteadyRows } from "./stream/steady_rows";

export type Begin = (memory: number | null, thresholds: Thresholds, tell: Tell) => Session;

/** What came of late, by which the rate is told. */
const RATED = 3; // seconds
const KEPT = 200; // events

export interface Figures {
  rate: number | null; // answers a second
  delay: number | null; // milliseconds
  step: number | null;
  frames: number;
  dropped: number;
}

const NO_FIGURES: Figures = { rate: null, delay: null, step: null, frames: 0, dropped: 0 };

export class Watching implements Heard {
  chosen: Chosen | null = null;
  state: "idle" | "opening" | "playing" | "ended" = "idle";
  trouble: string | null = null;
  rows: readonly Likely[] = [];
  likeliest: Likely | null = null;
  running: readonly StreamEvent[] = [];
  history: readonly StreamEvent[] = []; // newest first
  figures: Figures = NO_FIGURES;
  time = 0; // of the last answer
  memory: number | null;
  thresholds: Thresholds;

  private player: Player | null = null;
  private session: Session | null = null;
  private readonly steady: SteadyRows;
  private answered: number[] = [];
  private readonly listeners = new Set<() => void>();

  constructor(
    readonly about: About,
    private readonly begin: Begin,
  ) {
    this.memory = about.memory;
    this.thresholds = about.thresholds;
    this.steady = new SteadyRows(about.labels, about.background);
    this.forgetAnswers();
  }

  /** Be told of changes; returns how to be told no more. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Give the element that shows the pictures. */
  show(video: HTMLVideoElement | null): void {
    if (video !== null && this.player?.video !== video) this.player = new Player(video, this);
  }

  async open(chosen: Chosen): Promise<void> {
    if (this.player === null) return;
    this.endSession();
    this.forgetAnswers();
    this.history = [];
    this.trouble = null;
    this.chosen = chosen;
    this.state = "opening";
    this.changed();
    const session = this.begin(this.memory, this.thresholds, (report) => {
      if (this.session === session || report.kind === "ended") this.hear(report);
    });
    this.session = session;
    if ((await this.player.open(chosen, this.about.fps)) && this.session === session) {
      this.state = "playing";
      this.changed();
    }
  }

  /** Play a video once more, as a new stream. */
  async again(): Promise<void> {
    if (this.chosen?.kind !== "video") return;
    this.reset();
    this.state = "playing";
    this.changed();
    await this.player?.again();
  }

  stop(): void {
    this.player?.stop();
    this.endSession();
    this.forgetAnswers();
    this.chosen = null;
    this.state = "idle";
    this.changed();
  }

  /** Let the network forget what it saw. */
  reset(): void {
    this.session?.reset();
    this.forgetAnswers();
    this.changed();
  }

  setMemory(seconds: number | null): void {
    this.memory = seconds;
    this.session?.setMemory(seconds);
    this.changed();
  }

  setThresholds(thresholds: Thresholds): void {
    this.thresholds = thresholds;
    this.session?.setThresholds(thresholds);
    this.changed();
  }

  close(): void {
    this.stop();
    this.listeners.clear();
  }

  picture(video: HTMLVideoElement, time: number, patient: boolean): boolean {
    return this.session?.offer(video, time, patient) ?? true;
  }

  ended(): void {
    this.session?.finish();
    this.state = "ended";
    this.changed();
  }

  failed(message: string): void {
    this.endSession();
    this.forgetAnswers(); // what an earlier source showed is not on the screen any more
    this.chosen = null;
    this.state = "idle";
    this.trouble = message;
    this.changed();
  }

  private hear(report: Report): void {
    switch (report.kind) {
      case "prediction": {
        const { time, frames, top, running, delay, step } = report;
        const now = performance.now() / 1000;
        this.answered = [...this.answered.filter((at) => now - at < RATED), now];
        const rate = this.answered.length > 2 ? (this.answered.length - 1) / (now - this.answered[0]!) : null;
        this.figures = { ...this.figures, rate, delay, step, frames };
        this.rows = [...this.steady.update(top, time)];
        this.likeliest = top[0] ?? null;
        this.running = running;
        this.history = this.history.map((event) => running.find((now) => isSame(event, now)) ?? event);
        this.time = time;
        this.trouble = null;
        break;
      }
      case "begun":
        this.history = [report.event, ...this.history].slice(0, KEPT);
        break;
      case "ended":
        this.history = this.history.map((event) => (isSame(event, report.event) ? report.event : event));
        this.running = this.running.filter((event) => !isSame(event, report.event));
        break;
      case "dropped":
        this.figures = { ...this.figures, dropped: this.figures.dropped + 1 };
        break;
      case "failed":
        if (!report.again) return this.player?.stop(), this.failed(report.message);
        this.forgetAnswers();
        this.trouble = report.message;
        break;
    }
    this.changed();
  }

  private endSession(): void {
    this.session?.close();
    this.session = null;
  }

  private forgetAnswers(): void {
    this.steady.clear();
    this.rows = this.steady.update([], 0);
    this.likeliest = null;
    this.running = [];
    this.answered = [];
    this.figures = NO_FIGURES;
    this.time = 0;
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

function isSame(a: StreamEvent, b: StreamEvent): boolean {
  return a.end === null && a.label === b.label && Math.abs(a.start - b.start) < 1e-3;
}
