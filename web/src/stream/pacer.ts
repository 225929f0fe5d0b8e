// Which frames of a running stream its network takes: `movinet.video.pacer.LivePacer`, in this language.

const ROUNDED = 5e-4; // seconds by which stamps may be early
const EARLY = 0.75; // of the usual time between frames by which one may be early
const REMEMBERED = 10; // frames over which the usual time between frames is taken

/** The first frame from each tick on, by the frames' own times; ticks never drift, and no frame is taken twice. */
export class Pacer {
  readonly maxGap: number;
  private readonly period: number;
  private last: number | null = null;
  private next = 0;
  private usual = 0;
  private intervals = 0;

  /**
   * @param fps     frames a second the network expects
   * @param maxGap  seconds between frames that break a stream off; three of the network's frames at least
   */
  constructor(fps: number, maxGap = 2) {
    this.period = 1 / fps;
    this.maxGap = Math.max(maxGap, 3 * this.period);
  }

  /** Whether frames are missing before this one, or time ran backwards. */
  isGap(time: number): boolean {
    const since = this.last === null ? 0 : time - this.last;
    return since < -this.period || since > this.maxGap;
  }

  /** Whether the network takes the frame that comes now; to be asked once for every frame, in order. */
  isDue(time: number): boolean {
    if (this.isGap(time) || this.last === null) {
      this.last = time;
      this.next = time + this.period;
      return true;
    }
    if (time <= this.last) return false;
    const before = this.intervals ? this.early() : null;
    this.passed(time);
    const early = before ?? this.early();
    if (time < this.next - early) return false;
    this.next += this.period;
    if (time > this.next + early) this.next += this.period * (Math.floor((time - this.next) / this.period) + 1);
    return true;
  }

  /** Whichever frame comes next is the first. */
  restart(): void {
    this.last = null;
  }

  private passed(time: number): void {
    if (this.last === null || time <= this.last || time - this.last > this.maxGap) return;
    const between = Math.min(time - this.last, 2 * this.period);
    this.intervals = Math.min(this.intervals + 1, REMEMBERED);
    this.usual += (between - this.usual) / this.intervals;
    this.last = time;
  }

  private early(): number {
    return Math.max(ROUNDED, EARLY * Math.min(this.usual, this.period));
  }
}
