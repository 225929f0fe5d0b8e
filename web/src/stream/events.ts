// From probabilities that flicker to events with a beginning and an end: `movinet.events`, in this language.

export interface Limits {
  on: number; // probability at which an event begins
  off: number; // below which it ends
  shortest: number; // seconds; briefer ones are not told
}

export interface Thresholds extends Limits {
  byLabel: ReadonlyMap<string, { [name in keyof Limits]?: number | null }>; // null: as for all labels
  ignore: ReadonlySet<string>; // labels that are no events
  refractory: number; // seconds after an event in which its label begins no other
  warmUp: number; // seconds from a stream's first answer in which nothing begins
}

export interface StreamEvent {
  label: string;
  start: number; // seconds of the stream
  end: number | null; // null while it lasts
  confidence: number; // the highest probability so far
}

export interface Changes {
  begun: StreamEvent[];
  ended: StreamEvent[];
}

const SLACK = 1e-6; // seconds by which times of frames are rounded

/** What holds for a label. */
export function limitsOf({ on, off, shortest, byLabel }: Thresholds, label: string): Limits {
  const own = byLabel.get(label);
  return { on: own?.on ?? on, off: own?.off ?? off, shortest: own?.shortest ?? shortest };
}

/** Events by hysteresis, one detector a stream. */
export class EventDetector {
  private readonly lasting = new Map<number, StreamEvent>();
  private readonly toldOf = new Set<number>();
  private readonly over = new Map<number, number>(); // when a label's last told event ended
  private began: number | null = null; // when the stream did
  private last = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly labels: readonly string[],
    public thresholds: Thresholds,
  ) {}

  /** Events that have begun, been told, and not ended; the surest first. */
  get running(): StreamEvent[] {
    const told = [...this.lasting].filter(([index]) => this.toldOf.has(index)).map(([, event]) => event);
    return told.sort((a, b) => b.confidence - a.confidence);
  }

  /** Take the next answer: a probability a label. */
  push(probabilities: ArrayLike<number>, time: number): Changes {
    const changes: Changes = { begun: [], ended: [] };
    if (this.began === null || time < this.last) this.begin(time);
    for (let index = 0; index < this.labels.length; index++) {
      const label = this.labels[index]!;
      const probability = probabilities[index]!;
      const { on, off, shortest } = limitsOf(this.thresholds, label);
      let event = this.lasting.get(index);
      if (event === undefined) {
        if (probability < on || this.thresholds.ignore.has(label) || !this.mayBegin(index, time)) continue;
        event = { label, start: time, end: null, confidence: probability };
      } else if (probability < off) {
        this.end(index, time, changes);
        continue;
      } else {
        event = { ...event, confidence: Math.max(event.confidence, probability) };
      }
      this.lasting.set(index, event);
      if (!this.toldOf.has(index) && lasts(event.start, time, shortest)) {
        this.toldOf.add(index);
        changes.begun.push(event);
      }
    }
    this.last = time;
    return changes;
  }

  /** The stream is over or broken off: what runs ends with the last answer, and the next one begins a stream. */
  finish(): Changes {
    const changes: Changes = { begun: [], ended: [] };
    for (const index of [...this.lasting.keys()]) this.end(index, this.last, changes);
    this.over.clear();
    this.began = null;
    return changes;
  }

  private begin(time: number): void {
    this.began = time;
    this.over.clear();
  }

  private mayBegin(index: number, time: number): boolean {
    const over = this.over.get(index);
    const { warmUp, refractory } = this.thresholds;
    return lasts(this.began ?? time, time, warmUp) && (over === undefined || lasts(over, time, refractory));
  }

  private end(index: number, time: number, changes: Changes): void {
    const event = this.lasting.get(index)!;
    const told = this.toldOf.delete(index);
    this.lasting.delete(index);
    if (!told && !lasts(event.start, time, limitsOf(this.thresholds, event.label).shortest)) return;
    if (!told) changes.begun.push(event);
    this.over.set(index, time);
    changes.ended.push({ ...event, end: time });
  }
}

function lasts(start: number, time: number, seconds: number): boolean {
  return time - start >= seconds - SLACK;
}
