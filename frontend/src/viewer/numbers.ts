// Numbers as people read them.

const DIGITS = 4;

/** Whole numbers in full, others to four digits, huge and tiny ones with a power of ten. */
export function inWords(value: number | string | null): string {
  if (value === null) return "–";
  if (typeof value === "string") return value;
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return String(value);
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) return value.toExponential(DIGITS - 1);
  if (size >= 1000) return value.toFixed(1);
  return String(Number(value.toPrecision(DIGITS)));
}

/** As the server spells units; µm2 is for machines, and grey values need no unit. */
export function unitInWords(unit: string): string {
  if (unit === "grey value") return "";
  return unit.replace(/\bum/g, "µm").replace(/2\b/, "²").replace(/3\b/, "³");
}

export function withUnit(value: number | string | null, unit: string): string {
  const text = inWords(value);
  return value === null ? text : `${text} ${unitInWords(unit)}`.trim();
}
