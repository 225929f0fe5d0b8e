// Views that follow something that changes outside of them.

import { useEffect, useState } from "preact/hooks";

interface Changing {
  subscribe(listener: () => void): () => void;
}

/** Draw anew when it changes, at most once a frame of the screen. */
export function useChanges(changing: Changing): void {
  const [, draw] = useState(0);
  useEffect(() => {
    let waiting = 0;
    const leave = changing.subscribe(() => {
      waiting ||= requestAnimationFrame(() => {
        waiting = 0;
        draw((n) => n + 1);
      });
    });
    return () => {
      leave();
      cancelAnimationFrame(waiting);
    };
  }, [changing]);
}
