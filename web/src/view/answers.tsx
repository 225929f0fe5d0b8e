// What the network thinks: one large answer, and a bar a label.

import { useEffect, useRef, useState } from "preact/hooks";
import { limitsOf } from "../stream/events";
import { percent, readable } from "../stream/words";
import type { Watching } from "../watching";

const SPOKEN_EVERY = 2000; // milliseconds between things said to who cannot see

export function Answers({ watching }: { watching: Watching }) {
  const { rows, running, likeliest, about, thresholds } = watching;
  return (
    <section class="answers" aria-label="Answers">
      <Large watching={watching} />
      <Spoken watching={watching} />
      <ul class="bars">
        {rows.map(({ label, probability }) => {
          const { on } = limitsOf(thresholds, label);
          const now = running.some((event) => event.label === label);
          const background = about.background.has(label) || thresholds.ignore.has(label);
          const kind = now ? " now" : background ? " background" : likeliest?.label === label ? " likeliest" : "";
          return (
            <li key={label} class={`row${kind}`}>
              <span class="label" title={label}>
                {readable(label)}
              </span>
              <span class="bar" aria-hidden="true">
                <span class="fill" style={{ transform: `scaleX(${probability})` }} />
                {!background && <span class="on" style={{ left: `${100 * on}%` }} />}
              </span>
              <span class="number">{percent(probability)}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Large({ watching }: { watching: Watching }) {
  const { running, likeliest, about, state } = watching;
  const event = running[0];
  let word = "—";
  let below = state === "idle" ? "Nothing is playing" : state === "ended" ? "The video has ended" : "Looking …";
  let kind = "none";
  if (event !== undefined) {
    const now = watching.rows.find(({ label }) => label === event.label)?.probability ?? event.confidence;
    [word, below, kind] = [readable(event.label), percent(now), "event"];
  } else if (likeliest !== null && state !== "ended") {
    const nothing = about.background.has(likeliest.label);
    word = nothing ? "Nothing" : `${readable(likeliest.label)}?`;
    below = nothing ? `${percent(likeliest.probability)} sure that it is none of these` : `${percent(likeliest.probability)}, not sure enough`;
    kind = "unsure";
  }
  return (
    <div class={`large ${kind}`} data-label={event?.label ?? ""}>
      <p class="word">{word}</p>
      <p class="below">{below}</p>
    </div>
  );
}

/** Events in words, one every other second at most. */
function Spoken({ watching }: { watching: Watching }) {
  const [said, setSaid] = useState("");
  const last = useRef(0);
  const newest = watching.history[0];
  const text = newest === undefined ? "" : `${readable(newest.label)}, ${percent(newest.confidence)}`;
  useEffect(() => {
    if (text === "") return;
    const wait = Math.max(0, last.current + SPOKEN_EVERY - performance.now());
    const timer = setTimeout(() => {
      last.current = performance.now();
      setSaid(text);
    }, wait);
    return () => clearTimeout(timer);
  }, [newest?.label, newest?.start]);
  return (
    <p class="spoken" role="status" aria-live="polite">
      {said}
    </p>
  );
}
