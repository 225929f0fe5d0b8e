// The page of a server: this device's camera by way of it, and the cameras it watches itself.

import { useCallback, useEffect, useState } from "preact/hooks";
import { ask, type Me, type Model, Refused } from "../network/server";
import { aboutModel, RemoteSession } from "../stream/remote_session";
import { Watching } from "../watching";
import { Frame } from "./frame";
import { Broken, Loading } from "./loading";
import { TokenEntry } from "./token_entry";
import { Wall } from "./wall";
import { Watch } from "./watch";

type Where = "#here" | "#cameras";

export function Served({ sample }: { sample: string | null }) {
  const [me, setMe] = useState<Me | null>(null);
  const [models, setModels] = useState<Model[]>([]);
  const [watching, setWatching] = useState<Watching | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [where, setWhere] = useState<Where>(placeOf(location.hash));

  const enter = useCallback(async () => {
    try {
      const me = await ask<Me>("api/me");
      setMe(me);
      if (me.role === null) return;
      const { models, default: usual } = await ask<{ default: string; models: Model[] }>("api/models");
      setModels(models);
      const model = models.find(({ name }) => name === usual) ?? models[0];
      if (model === undefined) throw new Error("The server has no network.");
      setWatching(watchingOf(model));
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return setMe({ role: null, needs_token: true, version: "" });
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  }, []);
  useEffect(() => void enter(), [enter]);
  useEffect(() => {
    const moved = () => setWhere(placeOf(location.hash));
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  useEffect(() => () => watching?.close(), [watching]);

  const about = watching?.about ?? null;
  const seenBy = `Runs on ${location.host}: pictures of your camera go there`;
  const frame = (children: preact.ComponentChildren, tabs?: preact.ComponentChildren) => (
    <Frame about={about} where={seenBy} tabs={tabs}>
      {children}
    </Frame>
  );
  if (trouble !== null) return frame(<Broken message={trouble} />);
  if (me === null) return frame(<Loading loaded={new Map()} />);
  if (me.role === null) return frame(<TokenEntry entered={enter} />);
  if (watching === null) return frame(<Loading loaded={new Map()} />);
  const leave = async () => {
    await ask("api/logout", "POST").catch(() => {});
    setWatching(null);
    await enter();
  };
  const tabs = (
    <nav>
      <a href="#here" aria-current={where === "#here" ? "page" : undefined}>
        This device
      </a>
      <a href="#cameras" aria-current={where === "#cameras" ? "page" : undefined}>
        Cameras
      </a>
      {me.needs_token && <button onClick={() => void leave()}>Log out</button>}
    </nav>
  );
  if (where === "#cameras") return frame(<Wall administrator={me.role === "administrator"} models={models} />, tabs);
  const choose = (name: string) => {
    const model = models.find((model) => model.name === name);
    if (model !== undefined) setWatching(watchingOf(model));
  };
  return frame(
    <Watch watching={watching} transform={null} sample={sample}>
      {models.length > 1 && (
        <label class="field">
          Network{" "}
          <select value={watching.about.name} onChange={({ currentTarget }) => choose(currentTarget.value)}>
            {models.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      )}
    </Watch>,
    tabs,
  );
}

function watchingOf(model: Model): Watching {
  return new Watching(aboutModel(model), (memory, thresholds, tell) => new RemoteSession(model, memory, thresholds, tell));
}

function placeOf(hash: string): Where {
  return hash === "#cameras" ? "#cameras" : "#here";
}
