// What is on the screen: a camera or a video, and its pictures as they come.

import { FileFrames } from "./file_frames";
import { cameraTrouble, noCameras, videoTrouble } from "./trouble";

export type Chosen =
  | { kind: "camera"; deviceId: string | null }
  | { kind: "video"; name: string; url: string }; // an object's address, which is given back

export interface Heard {
  /** Whether it was taken, or need not be; a patient source offers it again. */
  picture(video: HTMLVideoElement, time: number, patient: boolean): boolean;
  ended(): void;
  failed(message: string): void;
}

/** Plays one source at a time; a source that was left is never heard of again. */
export class Player {
  private number = 0;
  private stopFrames = () => {};
  private file: FileFrames | null = null;
  private chosen: Chosen | null = null;

  constructor(
    readonly video: HTMLVideoElement,
    private readonly heard: Heard,
  ) {}

  /**
   * Open a source and play it; resolves when it plays, or has failed and said so.
   * @param fps  pictures a second that are wanted
   */
  async open(chosen: Chosen, fps: number): Promise<boolean> {
    this.stop();
    const number = ++this.number;
    this.chosen = chosen;
    const fail = (message: string) => {
      if (number !== this.number) return;
      this.stop();
      this.heard.failed(message);
    };
    try {
      if (chosen.kind === "camera") {
        const none = noCameras();
        if (none !== null) return fail(none), false;
        const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: constraints(chosen.deviceId) });
        if (number !== this.number) return end(stream), false;
        for (const track of stream.getVideoTracks())
          track.onended = () => fail("The camera was unplugged, or its permission was taken back.");
        this.video.srcObject = stream;
      } else {
        this.video.src = chosen.url;
        this.video.onerror = () => fail(videoTrouble(this.video.error, chosen.name));
      }
      await this.video.play();
    } catch (error) {
      // What the video element says of a file is heard by `onerror`, in better words.
      if (chosen.kind === "camera") fail(cameraTrouble(error));
      else if (this.video.error === null && number === this.number) fail(videoTrouble(null, chosen.name));
      return false;
    }
    if (number !== this.number) return false;
    this.listen(fps);
    return true;
  }

  /** Play a video again from its beginning. */
  async again(): Promise<void> {
    await this.file?.again();
  }

  /** Let go of the source: a camera's light goes out. */
  stop(): void {
    this.number++;
    this.stopFrames();
    this.stopFrames = () => {};
    this.file = null;
    const { video, chosen } = this;
    video.onerror = null;
    if (video.srcObject instanceof MediaStream) end(video.srcObject);
    video.srcObject = null;
    if (video.hasAttribute("src")) {
      video.removeAttribute("src");
      video.load();
    }
    if (chosen?.kind === "video") URL.revokeObjectURL(chosen.url);
    this.chosen = null;
  }

  private listen(fps: number): void {
    const { video, heard } = this;
    if (this.chosen?.kind === "video") {
      const file = new FileFrames(video, fps, {
        picture: (time) => heard.picture(video, time, true),
        ended: () => heard.ended(),
      });
      this.file = file;
      this.stopFrames = () => file.stop();
      return;
    }
    let handle = 0;
    if ("requestVideoFrameCallback" in video) {
      const next = (now: number) => {
        handle = video.requestVideoFrameCallback(next);
        heard.picture(video, now / 1000, false);
      };
      handle = video.requestVideoFrameCallback(next);
      this.stopFrames = () => video.cancelVideoFrameCallback(handle);
      return;
    }
    const look = (now: number) => {
      handle = requestAnimationFrame(look);
      heard.picture(this.video, now / 1000, false);
    };
    handle = requestAnimationFrame(look);
    this.stopFrames = () => cancelAnimationFrame(handle);
  }
}

/** The cameras there are; without names before one was allowed. */
export async function cameras(): Promise<MediaDeviceInfo[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId !== "");
}

function constraints(deviceId: string | null): MediaTrackConstraints {
  const size = { width: { ideal: 640 }, height: { ideal: 480 } }; // more than any of these networks sees
  return deviceId === null ? { ...size, facingMode: "user" } : { ...size, deviceId: { exact: deviceId } };
}

function end(stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}
