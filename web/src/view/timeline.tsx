// What has happened: the last half minute as a strip, and all of it as a list.

import type { StreamEvent } from "../stream/events";
import { clock, percent, readable } from "../stream/words";
import type { Watching } from "../watching";

const SHOWN = 30; // seconds on the strip
const LANES = 4;
const LISTED = 50;

export function Timeline({ watching }: { watching: Watching }) {
  const { history, time } = watching;
  const end = Math.max(time, SHOWN);
  const begin = end - SHOWN;
  const recent = history.filter((event) => (event.end ?? time) >= begin);
  const lanes = [...new Set(recent.map(({ label }) => label))].slice(0, LANES);
  return (
    <section class="timeline" aria-labelledby="happened">
      <h2 id="happened">What happened</h2>
      <div class="strip" aria-hidden="true">
        {recent
          .filter(({ label }) => lanes.includes(label))
          .map((event) => (
            <Block key={`${event.label} ${event.start}`} {...{ event, begin, time }} lane={lanes.indexOf(event.label)} />
          ))}
        <span class="now" style={{ left: `${(100 * (time - begin)) / SHOWN}%` }} />
      </div>
      <p class="axis" aria-hidden="true">
        <span>{clock(begin)}</span>
        <span>{clock(begin + SHOWN / 2)}</span>
        <span>{clock(end)}</span>
      </p>
      {history.length === 0 ? (
        <p class="quiet">Events appear here as they begin.</p>
      ) : (
        <div class="events" tabIndex={0} role="region" aria-label="Events, newest first">
          <ol>
            {history.slice(0, LISTED).map((event) => (
              <li key={`${event.label} ${event.start}`}>
                <span class="label">{readable(event.label)}</span>
                <span class="when">{when(event)}</span>
                <span class="number">{percent(event.confidence)}</span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}

function Block({ event, begin, time, lane }: { event: StreamEvent; begin: number; time: number; lane: number }) {
  const start = Math.max(event.start, begin);
  const end = event.end ?? time;
  const place = {
    left: `${(100 * (start - begin)) / SHOWN}%`,
    width: `${(100 * Math.max(0.4, end - start)) / SHOWN}%`,
    top: `${(100 * lane) / LANES}%`,
  };
  return (
    <span class={`block lane${lane}`} style={place}>
      {readable(event.label)}
    </span>
  );
}

function when({ start, end }: StreamEvent): string {
  if (end === null) return `${clock(start)}, still on`;
  return `${clock(start)}, for ${(end - start).toFixed(1)} s`;
}
