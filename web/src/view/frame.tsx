// What is around every view: the head with the network's name, and the foot with its license.

import type { ComponentChildren } from "preact";
import type { About } from "../stream/session";

interface Props {
  about: About | null;
  where: string; // who sees the pictures
  children: ComponentChildren;
  tabs?: ComponentChildren;
}

export function Frame({ about, where, children, tabs }: Props) {
  return (
    <>
      <header>
        <h1>MoViNet</h1>
        {tabs}
        <p class="where">{where}</p>
      </header>
      <main>{children}</main>
      <footer>
        {about && (
          <p>
            Network <b>{about.name}</b>
            {about.precision && `, ${about.precision}`}, license {about.license}
            {about.source && `: ${about.source}`}
          </p>
        )}
        <p>
          <a href="licenses.txt">Licenses of what this page is made of</a>
        </p>
      </footer>
    </>
  );
}
