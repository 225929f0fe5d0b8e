// What can be changed while it runs: memory and thresholds; and how it runs.

import type { ComponentChildren } from "preact";
import type { Limits } from "../stream/events";
import type { About } from "../stream/session";
import { percent } from "../stream/words";
import type { Watching } from "../watching";

export function Figures({ watching }: { watching: Watching }) {
  const { rate, delay, step, frames, dropped } = watching.figures;
  const wanted = watching.about.fps;
  return (
    <dl class="figures">
      <Figure name="Answers a second" value={rate === null ? "—" : rate.toFixed(1)} note={`of ${wanted}`} />
      <Figure name="Delay" value={delay === null ? "—" : `${delay.toFixed(0)} ms`} />
      <Figure name="Network" value={step === null ? "—" : `${step.toFixed(1)} ms`} />
      <Figure name="Pictures seen" value={String(frames)} note={dropped ? `${dropped} left out` : ""} />
    </dl>
  );
}

function Figure({ name, value, note = "" }: { name: string; value: string; note?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

const LONGEST = 60; // seconds of memory on the slider; its end means that nothing is forgotten

export function Settings({ watching, children }: { watching: Watching; children?: ComponentChildren }) {
  const { about, memory, thresholds } = watching;
  const asJudged =
    thresholds === about.thresholds && (memory === about.memory || (memory !== null && Math.abs(memory - (about.memory ?? 0)) < 0.26));
  const set = (changed: Partial<Limits>) => {
    const limits = { ...thresholds, byLabel: new Map(), ...changed };
    // An event ends below where it begins.
    if (changed.on !== undefined) limits.off = (limits.on * thresholds.off) / thresholds.on;
    if (changed.off !== undefined) limits.on = Math.max(limits.on, limits.off + 0.05);
    watching.setThresholds(limits);
  };
  return (
    <section class="settings" aria-labelledby="settings">
      <h2 id="settings">Settings</h2>
      {children}
      <Slider
        name="Memory"
        help="After so long a picture hardly counts any more"
        {...{ min: 0.5, max: LONGEST, step: 0.5 }}
        value={memory ?? LONGEST}
        shown={memory === null ? "never forgets" : `${memory.toFixed(1)} s`}
        onValue={(value) => watching.setMemory(value >= LONGEST ? null : value)}
      />
      <Slider
        name="An event begins at"
        {...{ min: 0.1, max: 1, step: 0.01 }}
        value={thresholds.on}
        shown={`${(100 * thresholds.on).toFixed(0)} %`}
        onValue={(on) => set({ on })}
      />
      <Slider
        name="and ends below"
        {...{ min: 0.05, max: 0.95, step: 0.01 }}
        value={thresholds.off}
        shown={`${(100 * thresholds.off).toFixed(0)} %`}
        onValue={(off) => set({ off })}
      />
      <Slider
        name="Shortest event"
        {...{ min: 0, max: 5, step: 0.1 }}
        value={thresholds.shortest}
        shown={`${thresholds.shortest.toFixed(1)} s`}
        onValue={(shortest) => set({ shortest })}
      />
      <p class="quiet">
        {promised(about, asJudged)}
      </p>
      {!asJudged && (
        <button
          onClick={() => {
            watching.setMemory(about.memory);
            watching.setThresholds(about.thresholds);
          }}
        >
          As they were
        </button>
      )}
    </section>
  );
}

/** What is known of how often it is wrong. */
function promised({ judged }: About, asJudged: boolean): string {
  if (judged === null) return "How often this network is wrong with these was not measured.";
  if (!asJudged) return "Other than was measured: how often it is wrong like this is not known.";
  const { false_alarms, missed, hours } = judged;
  if (!false_alarms) return "As they were chosen for this network.";
  const misses = missed ? `, and ${percent(missed.value)} of the events were missed` : "";
  const within = `${false_alarms.low.toFixed(2)} to ${false_alarms.high.toFixed(2)}`;
  return `Measured on ${(hours ?? 0).toFixed(1)} hours: ${false_alarms.value.toFixed(2)} false alarms an hour (${within})${misses}.`;
}

interface SliderProps {
  name: string;
  help?: string;
  min: number;
  max: number;
  step: number;
  value: number;
  shown: string;
  onValue(value: number): void;
}

function Slider({ name, help, shown, onValue, ...range }: SliderProps) {
  return (
    <label class="slider" title={help}>
      <span>{name}</span>
      <span class="value" aria-hidden="true">
        {shown}
      </span>
      <input
        type="range"
        {...range}
        aria-valuetext={shown}
        onInput={({ currentTarget }) => onValue(Number(currentTarget.value))}
      />
    </label>
  );
}
