// A bar that fills; it moves by itself while nobody knows how far it is.

export function Progress({ label, share }: { label: string; share: number | null }) {
  // Another key: an element that once had a value would stay a bar with one.
  return share === null ? <progress key="moving" max={1} aria-label={label} />
    : <progress key="filling" max={1} value={share} aria-label={label} />;
}
