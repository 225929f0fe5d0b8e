// The page with a network of its own: nothing leaves the machine.

import { useEffect, useState } from "preact/hooks";
import { Recognizer } from "../network/recognizer";
import { aboutRecognizer, LocalSession } from "../stream/local_session";
import { Watching } from "../watching";
import { Frame } from "./frame";
import { Broken, type Loaded, Loading } from "./loading";
import { Watch } from "./watch";

const HERE = "Runs in this browser: no picture leaves this device";

export function Alone({ sample }: { sample: string | null }) {
  const [loaded, setLoaded] = useState<Loaded>(new Map());
  const [trouble, setTrouble] = useState<string | null>(null);
  const [ready, setReady] = useState<{ recognizer: Recognizer; watching: Watching } | null>(null);
  useEffect(() => {
    const progress = (what: string, loaded: number, total: number) =>
      setLoaded((before) => new Map(before).set(what, { loaded, total }));
    Recognizer.load("./", progress).then(
      (recognizer) => setReady({ recognizer, watching: watchingOf(recognizer) }),
      (error: Error) => setTrouble(error.message),
    );
  }, []);
  if (trouble !== null) return <Frame about={null} where={HERE} children={<Broken message={trouble} />} />;
  if (ready === null) return <Frame about={null} where={HERE} children={<Loading loaded={loaded} />} />;
  const { recognizer, watching } = ready;
  return (
    <Frame about={watching.about} where={HERE}>
      <Watch watching={watching} transform={recognizer.manifest.transform} sample={sample} />
    </Frame>
  );
}

function watchingOf(recognizer: Recognizer): Watching {
  return new Watching(aboutRecognizer(recognizer), (memory, thresholds, tell) => {
    recognizer.reset();
    recognizer.setMemory(memory);
    return new LocalSession(recognizer, thresholds, tell);
  });
}
