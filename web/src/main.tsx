// The page: with a network of its own, or with a server's, as page.json says.

import { render } from "preact";
import "./style.css";
import { Alone } from "./view/alone";
import { Broken } from "./view/loading";
import { Served } from "./view/served";

interface Config {
  mode: "browser" | "server";
  sample: string | null; // a clip to try, beside the page
}

async function start(): Promise<void> {
  const place = document.getElementById("page")!;
  try {
    const response = await fetch(new URL("page.json", document.baseURI));
    if (!response.ok) throw new Error(`The host answered ${response.status} for page.json.`);
    const { mode, sample } = (await response.json()) as Config;
    place.replaceChildren();
    render(mode === "browser" ? <Alone sample={sample} /> : <Served sample={sample} />, place);
  } catch (error) {
    place.replaceChildren();
    render(<Broken message={error instanceof Error ? error.message : String(error)} />, place);
  }
}

void start();
