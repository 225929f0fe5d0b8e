// The server of `movinet serve`: docs/serve.md has its messages and addresses.

import type { Likely } from "../stream/answer";
import type { StreamEvent } from "../stream/events";
import type { OperatingPoint } from "./manifest";

export interface Me {
  role: "administrator" | "viewer" | null;
  needs_token: boolean;
  version: string;
}

export interface Model {
  name: string;
  labels: string[] | null;
  background: string | null;
  size: [number, number]; // width, height
  fps: number;
  memory: number; // seconds; 0 never forgets
  thresholds: Partial<OperatingPoint>;
  promise: string | null; // null where what was measured of them holds
  precision: string;
  license: string;
  source?: string;
}

export interface Source {
  name: string;
  address: string;
  model: string;
  state: "opening" | "running" | "lost" | "lagging" | "ended" | "given up";
  why: string | null;
  top: Likely[] | null;
  running: Pick<StreamEvent, "label" | "start" | "confidence">[] | null;
  figures: { frames: number; fps: number; lag: number; dropped: number } | null;
}

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Ask the server.
 * @throws Refused  it says no; the message is its own
 */
export async function ask<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  const response = await fetch(new URL(path, document.baseURI), init).catch(() => null);
  if (response === null) throw new Refused(0, "There is no connection to the server.");
  const text = await response.text();
  let said: unknown = null;
  try {
    said = text ? JSON.parse(text) : null;
  } catch {
    said = { error: text.slice(0, 200) };
  }
  if (!response.ok) {
    const why = (said as { error?: string } | null)?.error;
    throw new Refused(response.status, why ?? `The server answered ${response.status}.`);
  }
  return said as T;
}
