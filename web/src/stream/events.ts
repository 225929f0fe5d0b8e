// From probabilities that flicker to events with a beginning and an end: `movinet.events`, in this language.

export interface Limits {
  on: number; // probability at which an event begins
  off: number; // below which it ends
  shortest: number; // seconds; briefer ones are not told
}

export interface Thresholds extends Limits {
  byLabel: ReadonlyMap<string, Partial<Limits>>;
  ignore: ReadonlySet<string>; // labels that are no events
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

/** Events by hysteresis, one detector a stream. */
export class EventDetector {
  private readonly lasting = new Map<number, StreamEvent>();
  private readonly toldOf = new Set<number>();
  private last = 0;

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
    for (let index = 0; index < this.labels.length; index++) {
      const label = this.labels[index]!;
      const probability = probabilities[index]!;
      const { on, off, shortest } = this.limits(label);
      let event = this.lasting.get(index);
      if (event === undefined) {
        if (probability < on || this.thresholds.ignore.has(label)) continue;
        event = { label, start: time, end: null, confidence: probability };
      } else if (probability < off) {
        this.end(index, time, changes);
        continue;
      } else {
        event = { ...event, confidence: Math.max(event.confidence, probability) };
      }
      this.lasting.set(index, event);
      if (!this.toldOf.has(index) && time - event.start >= shortest) {
        this.toldOf.add(index);
        changes.begun.push(event);
      }
    }
    this.last = time;
    return changes;
  }

  /** The stream is over or broken off: what runs ends with the last answer. */
  finish(): Changes {
    const changes: Changes = { begun: [], ended: [] };
    for (const index of [...this.lasting.keys()]) this.end(index, this.last, changes);
    return changes;
  }

  private end(index: number, time: number, changes: Changes): void {
    const event = this.lasting.get(index)!;
    const told = this.toldOf.delete(index);
    this.lasting.delete(index);
    if (!told && time - event.start < this.limits(event.label).shortest) return;
    if (!told) changes.begun.push(event);
    changes.ended.push({ ...event, end: time });
  }

  private limits(label: string): Limits {
    const { on, off, shortest, byLabel } = this.thresholds;
    return { on, off, shortest, ...byLabel.get(label) };
  }
}
