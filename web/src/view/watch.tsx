// One stream: its picture, its answers, its events.

import type { ComponentChildren } from "preact";
import type { Transform } from "../network/manifest";
import type { Watching } from "../watching";
import { Answers } from "./answers";
import { Picture } from "./picture";
import { Figures, Settings } from "./settings";
import { Timeline } from "./timeline";
import { useChanges } from "./use_changes";

interface Props {
  watching: Watching;
  transform: Transform | null;
  sample: string | null;
  children?: ComponentChildren; // further settings
}

export function Watch({ watching, transform, sample, children }: Props) {
  useChanges(watching);
  return (
    <div class="watch">
      <Picture {...{ watching, transform, sample }} />
      <Answers watching={watching} />
      <div class="below">
        <Timeline watching={watching} />
        <Figures watching={watching} />
      </div>
      <Settings watching={watching}>{children}</Settings>
    </div>
  );
}
