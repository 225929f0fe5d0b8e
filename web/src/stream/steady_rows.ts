// Rows of labels that stay where they are, so that an eye can follow them.

import type { Likely } from "./answer";
import { FEW, SHOWN_OF_MANY } from "./session";

const LEAVES_AFTER = 2; // seconds that a row is not among the likeliest

interface Row extends Likely {
  wanted: number; // when it was among the likeliest last
}

/** Of a few labels, all of them in their order, the background last; of many, those that were likely of late. */
export class SteadyRows {
  private rows: Row[] = [];

  constructor(
    private readonly labels: readonly string[],
    private readonly background: ReadonlySet<string>,
  ) {
    this.clear();
  }

  private get hasFew(): boolean {
    return this.labels.length > 0 && this.labels.length <= FEW;
  }

  /** Every row at zero, or none. */
  clear(): void {
    this.rows = [];
    if (!this.hasFew) return;
    const ordered = [...this.labels].sort((a, b) => Number(this.background.has(a)) - Number(this.background.has(b)));
    this.rows = ordered.map((label) => ({ label, probability: 0, wanted: Infinity }));
  }

  /** The rows after an answer, its likeliest labels first. */
  update(top: readonly Likely[], time: number): readonly Likely[] {
    const chances = new Map(top.map(({ label, probability }) => [label, probability]));
    for (const row of this.rows) row.probability = chances.get(row.label) ?? 0;
    if (this.hasFew) return this.rows;
    for (const { label, probability } of top.slice(0, SHOWN_OF_MANY)) {
      const row = this.rows.find((row) => row.label === label);
      if (row !== undefined) row.wanted = time;
      else if (this.rows.length < SHOWN_OF_MANY) this.rows.push({ label, probability, wanted: time });
      else {
        const stale = this.rows.filter((row) => Math.abs(time - row.wanted) > LEAVES_AFTER);
        const weakest = stale.sort((a, b) => a.probability - b.probability)[0];
        if (weakest !== undefined) Object.assign(weakest, { label, probability, wanted: time });
      }
    }
    return this.rows;
  }
}
