// The cameras that the server watches itself, a tile each.

import { useCallback, useEffect, useState } from "preact/hooks";
import { ask, type Model, type Source } from "../network/server";
import { percent, readable } from "../stream/words";
import { AddCamera } from "./add_camera";

const ASKED_EVERY = 2000; // milliseconds
const TOLD = 20; // events

interface ToldEvent {
  type: string;
  source: string;
  wall: string;
  label?: string;
  confidence?: number;
  why?: string;
}

export function Wall({ administrator, models }: { administrator: boolean; models: Model[] }) {
  const [sources, setSources] = useState<Source[] | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  const look = useCallback(async () => {
    try {
      setSources((await ask<{ sources: Source[] }>("api/sources")).sources);
      setTrouble(null);
      setRound((n) => n + 1);
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  }, []);
  useEffect(() => {
    void look();
    const timer = setInterval(() => void look(), ASKED_EVERY);
    return () => clearInterval(timer);
  }, [look]);
  const remove = async (name: string) => {
    if (!confirm(`Stop watching ${name}, and forget its address?`)) return;
    await ask(`api/sources/${encodeURIComponent(name)}`, "DELETE").catch((error: Error) => setTrouble(error.message));
    await look();
  };
  return (
    <div class="wall">
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
      {sources !== null && sources.length === 0 && (
        <p class="quiet">The server watches no cameras{administrator ? " yet: add one below." : "."}</p>
      )}
      <ul class="tiles">
        {sources?.map((source) => (
          <Tile key={source.name} {...{ source, round }} {...(administrator && { remove })} />
        ))}
      </ul>
      <Told />
      {administrator && <AddCamera models={models} added={look} />}
    </div>
  );
}

const STATES: Record<Source["state"], string> = {
  opening: "Opening …",
  running: "Running",
  lost: "No connection, trying again",
  lagging: "Too slow: pictures are left out",
  ended: "Ended",
  "given up": "Given up",
};

function Tile({ source, round, remove }: { source: Source; round: number; remove?(name: string): Promise<void> }) {
  const { name, state, why, top, running, figures } = source;
  const event = running?.[0];
  const likely = top?.[0];
  const live = (state === "running" || state === "lagging") && (figures?.frames ?? 0) > 0;
  return (
    <li class={`tile ${state.replace(" ", "-")}`}>
      <h2>{name}</h2>
      {live ? (
        <img src={`api/sources/${encodeURIComponent(name)}/picture.jpg?${round}`} alt={`The newest picture of ${name}`} />
      ) : (
        <p class="no-picture">{why ?? STATES[state]}</p>
      )}
      <p class={`word ${event ? "event" : "unsure"}`}>
        {event ? readable(event.label) : likely && live ? `${readable(likely.label)}, ${percent(likely.probability)}` : "—"}
      </p>
      <p class="quiet">
        {STATES[state]}
        {live && figures && `, ${figures.fps.toFixed(1)} a second`}
        {figures?.dropped ? `, ${figures.dropped} left out` : ""}
      </p>
      {remove && (
        <button aria-label={`Remove ${name}`} onClick={() => void remove(name)}>
          Remove
        </button>
      )}
    </li>
  );
}

/** What the server's cameras saw while somebody looks. */
function Told() {
  const [told, setTold] = useState<ToldEvent[]>([]);
  useEffect(() => {
    const events = new EventSource("api/events?types=begun,lost,found");
    events.onmessage = ({ data }) => {
      const event = JSON.parse(data as string) as ToldEvent;
      setTold((before) => [event, ...before].slice(0, TOLD));
    };
    return () => events.close();
  }, []);
  return (
    <section class="timeline" aria-labelledby="told">
      <h2 id="told">What happened</h2>
      {told.length === 0 && <p class="quiet">Events appear here as they begin.</p>}
      <div role="log" aria-label="Events, newest first" class="events" tabIndex={0}>
        <ol>
          {told.map(({ type, source, wall, label, confidence, why }) => (
            <li key={`${wall} ${source} ${type} ${label}`}>
              <span class="label">{label ? readable(label) : type === "lost" ? "Lost" : "Back again"}</span>
              <span class="when">
                {source}, {new Date(wall).toLocaleTimeString()}
              </span>
              <span class="number">{confidence === undefined ? (why ?? "") : percent(confidence)}</span>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}
