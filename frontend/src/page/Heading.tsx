// The heading of a page: its title in the browser, and where the focus goes after a move.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { moves } from "../routes";

interface Props {
  /** For the browser's tab. */
  title: string;
  isHidden?: boolean;
  children: ComponentChildren;
}

export function Heading({ title, isHidden = false, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const move = moves.value;
  useEffect(() => {
    // Not at the first load: the browser begins at the top by itself.
    if (move > 0) heading.current?.focus({ preventScroll: true });
  }, [move]);
  useEffect(() => { document.title = title ? `${title} – Kiosk` : "Kiosk"; }, [title]);
  return <h1 ref={heading} tabIndex={-1} class={isHidden ? "hidden" : ""}>{children}</h1>;
}
