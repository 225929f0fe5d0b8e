// For administrators: one more camera for the server to watch.

import { useEffect, useState } from "preact/hooks";
import { ask, type Model } from "../network/server";

interface Offered {
  files: string[];
  cameras: string[];
}

export function AddCamera({ models, added }: { models: Model[]; added(): Promise<void> }) {
  const [trouble, setTrouble] = useState<string | null>(null);
  const [{ files, cameras }, setOffered] = useState<Offered>({ files: [], cameras: [] });
  useEffect(() => {
    ask<Offered>("api/files").then(setOffered, () => {});
  }, []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const entries = [...new FormData(form)].filter(([, value]) => value !== "");
    const source = Object.fromEntries(entries.map(([name, value]) => [name, name === "loop" ? true : value]));
    setTrouble(null);
    try {
      await ask("api/sources", "POST", source);
      form.reset();
      await added();
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <form class="add" onSubmit={(event) => void submit(event)}>
      <h2>Add a camera</h2>
      <label>
        Name <input name="name" required maxLength={64} autocomplete="off" />
      </label>
      <label>
        Address <input name="address" required list="files" placeholder="rtsp://…" autocomplete="off" />
      </label>
      <datalist id="files">
        {[...cameras, ...files].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <label>
        User <input name="user" autocomplete="off" />
      </label>
      <label>
        Password <input name="password" type="password" autocomplete="new-password" />
      </label>
      {models.length > 1 && (
        <label>
          Network{" "}
          <select name="model">
            {models.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      )}
      {files.length > 0 && (
        <label class="check">
          <input name="loop" type="checkbox" />
          Play a file over and over
        </label>
      )}
      <button class="primary">Add</button>
      {trouble && (
        <p class="trouble" role="alert">
          {trouble}
        </p>
      )}
    </form>
  );
}
