// A stream to the server: small pictures over a WebSocket, at most two of them unanswered.

import type { Model } from "../network/server";
import type { Likely } from "./answer";
import type { StreamEvent, Thresholds } from "./events";
import { backgroundOf, thresholdsOf } from "./local_session";
import { Pacer } from "./pacer";
import { type About, FEW, type Session, SHOWN_OF_MANY, type Tell } from "./session";

const UNANSWERED = 2; // more would be dropped by the server
const QUALITY = 0.85;
const LARGER = 1.25; // than what the network sees, which the server cuts out
const LONGEST = 640; // pixels of a side that the server takes
const QUIET = 30_000; // milliseconds without a picture, after which the server may hang up
const AGAIN = [1, 2, 5, 10]; // seconds until the next try

export function aboutModel(model: Model): About {
  const { name, fps, license, precision } = model;
  const memory = model.memory || null;
  const labels = model.labels ?? []; // where it has none, rows come as answers do
  const background = backgroundOf(model.background, labels);
  const thresholds = thresholdsOf(model.thresholds, background);
  const judged = model.promise === null ? model.thresholds : null;
  return { name, labels, background, fps, memory, thresholds, judged, license, source: model.source ?? "", precision };
}

interface Said {
  type: string;
  time?: number;
  message?: string;
  error?: string | null;
  frames?: number;
  top?: Likely[];
  running?: StreamEvent[];
  label?: string;
  start?: number;
  end?: number;
  confidence?: number;
  figures?: { step_ms?: number };
}

export class RemoteSession implements Session {
  private readonly pacer: Pacer;
  private readonly canvas = document.createElement("canvas");
  private socket: WebSocket | null = null;
  private open = false;
  private closed = false;
  private tries = 0;
  private size: [number, number] = [0, 0];
  private offered = 0; // when a picture was, last
  private readonly sent = new Map<number, number>(); // when, by the picture's time

  constructor(
    private readonly model: Model,
    private memory: number | null,
    private thresholds: Thresholds,
    private readonly tell: Tell,
  ) {
    this.pacer = new Pacer(model.fps);
  }

  offer(picture: HTMLVideoElement, exact: number, patient: boolean): boolean {
    if (this.closed || !picture.videoWidth) return true;
    const time = Math.round(exact * 1000) / 1000; // as answers name it
    this.offered = performance.now();
    const size = this.fitted(picture.videoWidth, picture.videoHeight);
    if (this.socket === null) this.connect(size);
    if (patient && (!this.open || this.sent.size > 0)) return false;
    if (!this.open || !this.pacer.isDue(time)) return true;
    if (this.sent.size >= UNANSWERED) return this.tell({ kind: "dropped" }), true;
    if (size.join() !== this.size.join()) {
      this.size = size;
      this.say({ type: "change", size });
    }
    [this.canvas.width, this.canvas.height] = size;
    this.canvas.getContext("2d", { alpha: false })!.drawImage(picture, 0, 0, ...size);
    const { socket } = this;
    this.sent.set(time, performance.now());
    this.canvas.toBlob(
      (blob) => {
        if (blob === null || socket === null || socket !== this.socket || !this.open) return void this.sent.delete(time);
        const stamp = new DataView(new ArrayBuffer(8));
        stamp.setFloat64(0, time, true);
        socket.send(new Blob([stamp, blob]));
      },
      "image/jpeg",
      QUALITY,
    );
    return true;
  }

  reset(): void {
    this.pacer.restart();
    this.say({ type: "reset" });
  }

  setMemory(seconds: number | null): void {
    this.memory = seconds;
    this.say({ type: "change", memory: seconds ?? 0 });
  }

  setThresholds(thresholds: Thresholds): void {
    this.thresholds = thresholds;
    this.say({ type: "change", thresholds: plain(thresholds) });
  }

  finish(): void {
    this.reset();
  }

  close(): void {
    this.say({ type: "close" });
    this.closed = true;
    const socket = this.socket;
    if (socket !== null && socket.readyState === WebSocket.CONNECTING) socket.close();
    else setTimeout(() => socket?.close(), 1000); // running events are told as ended first
  }

  private connect(size: [number, number]): void {
    this.size = size;
    const url = new URL("api/stream", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => {
      const { memory, thresholds, model } = this;
      const classes = model.labels?.length ?? 0;
      const topk = classes > 0 && classes <= FEW ? classes : 2 * SHOWN_OF_MANY;
      const how = { memory: memory ?? 0, thresholds: plain(thresholds), topk };
      socket.send(JSON.stringify({ type: "open", size, format: "jpeg", model: model.name, ...how }));
    };
    socket.onmessage = ({ data }) => this.take(JSON.parse(data as string) as Said);
    socket.onclose = ({ code }) => {
      this.open = false;
      this.sent.clear();
      this.pacer.restart();
      if (this.closed) return;
      if (this.isQuiet()) return void (this.socket = null);
      const refused = code === 1008 || code === 1003;
      this.tell({ kind: "failed", message: closing(code), again: !refused });
      if (refused) return;
      setTimeout(() => (this.socket = null), 1000 * (AGAIN[Math.min(this.tries++, AGAIN.length - 1)] ?? 10));
    };
  }

  private take(said: Said): void {
    const sent = said.time === undefined ? undefined : this.sent.get(said.time);
    switch (said.type) {
      case "opened":
        this.open = true;
        this.tries = 0;
        return;
      case "prediction": {
        const { time = 0, frames = 0, top = [], figures } = said;
        const running = (said.running ?? []).map((event) => ({ ...event, end: null }));
        this.sent.delete(time);
        const delay = sent === undefined ? 0 : performance.now() - sent;
        return this.tell({ kind: "prediction", time, frames, top, running, delay, step: figures?.step_ms ?? null });
      }
      case "begun":
      case "ended": {
        const { label = "", start = 0, end = null, confidence = 0 } = said;
        return this.tell({ kind: said.type, event: { label, start, end, confidence } });
      }
      case "dropped":
      case "refused":
      case "skipped":
        this.sent.delete(said.time ?? Number.NaN);
        if (said.type === "dropped") this.tell({ kind: "dropped" });
        else if (said.type === "refused") this.tell({ kind: "failed", message: said.message ?? "", again: true });
        return;
      case "error":
        return this.tell({ kind: "failed", message: said.message ?? "The server refused.", again: false });
      case "over":
        if (said.error && !this.isQuiet()) this.tell({ kind: "failed", message: said.error, again: true });
        return;
    }
  }

  private say(message: object): void {
    if (this.open && !this.closed) this.socket?.send(JSON.stringify(message));
  }

  private isQuiet(): boolean {
    return performance.now() - this.offered > QUIET;
  }

  /** Width and height of what is sent: little more than the network looks at. */
  private fitted(width: number, height: number): [number, number] {
    const wanted = (LARGER * Math.max(...this.model.size)) / Math.min(width, height);
    const factor = Math.min(1, wanted, LONGEST / Math.max(width, height));
    return [Math.max(2, Math.round(width * factor)), Math.max(2, Math.round(height * factor))];
  }
}

function plain({ on, off, shortest, ignore, byLabel }: Thresholds): object {
  return { on, off, shortest, ignore: [...ignore], by_label: Object.fromEntries(byLabel) };
}

function closing(code: number): string {
  if (code === 1013) return "All places on the server are taken. Trying again …";
  if (code === 1008) return "The server does not allow this, or this connection is too slow for it.";
  if (code === 1003) return "The server does not understand this page: reload it.";
  return "The connection to the server is lost. Trying again …";
}
