// Where the focus goes when what had it is taken away.

/** Call before a row is removed; the answer puts the focus on a neighbour of it. */
export function neighbourOf(element: Element | null, row: string, target: string): () => void {
  const own = element?.closest(row);
  const next = own?.nextElementSibling ?? own?.previousElementSibling ?? null;
  return () => {
    // Somebody who has gone elsewhere meanwhile is left alone.
    if (own?.isConnected || document.activeElement !== document.body) return;
    next?.querySelector<HTMLElement>(target)?.focus();
  };
}
