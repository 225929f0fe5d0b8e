// What the page shows before there is a network, or instead of one.

import { megabytes } from "../stream/words";

export type Loaded = ReadonlyMap<string, { loaded: number; total: number }>; // by what it is

export function Loading({ loaded }: { loaded: Loaded }) {
  return (
    <section class="loading" aria-label="Loading">
      {[...loaded].map(([what, { loaded, total }]) => (
        <label key={what}>
          <span>
            {what}: {megabytes(loaded)} of {megabytes(total)} MB
          </span>
          <progress value={loaded} max={Math.max(1, total)} />
        </label>
      ))}
      {loaded.size === 0 && <p>Loading …</p>}
    </section>
  );
}

export function Broken({ message }: { message: string }) {
  return (
    <section class="broken" role="alert">
      <h2>This does not work</h2>
      <p>{message}</p>
      <button onClick={() => location.reload()}>Try again</button>
    </section>
  );
}
