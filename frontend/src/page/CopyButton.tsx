// Copies a text, and says that it has.

import { useEffect, useState } from "preact/hooks";

import { announce } from "../announce";

const SHOWN_MS = 2000;

interface Props {
  text: string;
  label: string;
  /** For what has no clipboard: pages without TLS. Selects the text instead. */
  select: () => void;
}

export function CopyButton({ text, label, select }: Props) {
  const [done, setDone] = useState("");
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [done]);
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setDone("Copied");
      announce("Copied.");
    } catch {
      select();
      setDone("Press Ctrl+C");
      announce("Selected. Press Control C to copy.");
    }
  }
  return <button type="button" class="quiet" onClick={copy}>{done || label}</button>;
}

/** Marks the text of an element, as if by the mouse. */
export function selectText(element: HTMLElement | null): void {
  if (element) getSelection()?.selectAllChildren(element);
}
