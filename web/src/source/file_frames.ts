// The pictures of a video file, as a player shows them; where the machine is too slow for that, none is lost: the video
// waits, and is stepped through.

const PATIENCE = 20; // milliseconds between two tries to hand a picture over
const MISSED = 1.5; // periods without a picture after which one is missing

export interface FileHeard {
  /** Whether the picture at these seconds was taken, or need not be. */
  picture(time: number): boolean;
  ended(): void;
}

export class FileFrames {
  private readonly period: number;
  private last: number | null = null; // seconds of the last picture that was taken
  private handle = 0;
  private stopped = false;
  private stepping = false;
  private over = false; // it has played to its end, and this is not told yet

  constructor(
    private readonly video: HTMLVideoElement,
    fps: number,
    private readonly heard: FileHeard,
  ) {
    this.period = 1 / fps;
    video.onended = () => void this.end();
    this.listen();
  }

  /** From the beginning. */
  async again(): Promise<void> {
    this.stepping = true; // a picture of before may still come
    this.last = null;
    this.over = false;
    await this.seek(0);
    this.stepping = false;
    await this.video.play().catch(() => {});
  }

  stop(): void {
    this.stopped = true;
    this.video.onended = null;
    if ("requestVideoFrameCallback" in this.video) this.video.cancelVideoFrameCallback(this.handle);
    else cancelAnimationFrame(this.handle);
  }

  private listen(): void {
    const { video } = this;
    if ("requestVideoFrameCallback" in video) {
      const next = (_: number, { mediaTime }: VideoFrameCallbackMetadata) => {
        this.handle = video.requestVideoFrameCallback(next);
        this.see(mediaTime);
      };
      this.handle = video.requestVideoFrameCallback(next);
      return;
    }
    const look = () => {
      this.handle = requestAnimationFrame(look);
      const { currentTime, readyState } = this.video;
      if (currentTime !== this.last && readyState >= 2) this.see(currentTime);
    };
    this.handle = requestAnimationFrame(look);
  }

  private see(time: number): void {
    if (this.stopped || this.stepping) return;
    if (this.isMissing(time)) void this.step(time);
    else if (this.heard.picture(time)) this.last = time;
  }

  private isMissing(time: number): boolean {
    const { seekable } = this.video;
    const canSeek = seekable.length > 0 && seekable.end(seekable.length - 1) > 0; // some hosts send files in one piece
    return canSeek && time - (this.last ?? 0) > MISSED * this.period;
  }

  /** Go back to what was missed, and through it up to this time. */
  private async step(until: number): Promise<void> {
    this.stepping = true;
    this.over ||= this.video.ended;
    this.video.pause();
    while (!this.stopped && this.isMissing(this.over ? this.video.duration : until)) {
      const target = this.last === null ? 0 : this.last + this.period;
      await this.seek(target);
      while (!this.stopped && !this.heard.picture(target)) await new Promise((go) => setTimeout(go, PATIENCE));
      this.last = target;
    }
    this.stepping = false;
    if (this.over) this.tellEnd();
    else if (!this.stopped) await this.video.play().catch(() => {});
  }

  private async end(): Promise<void> {
    this.over = true;
    if (this.stopped || this.stepping) return;
    if (this.isMissing(this.video.duration)) await this.step(this.video.duration);
    else this.tellEnd();
  }

  private tellEnd(): void {
    this.over = false;
    if (!this.stopped) this.heard.ended();
  }

  private seek(time: number): Promise<void> {
    return new Promise((done) => {
      this.video.addEventListener("seeked", () => done(), { once: true });
      this.video.currentTime = time;
    });
  }
}
