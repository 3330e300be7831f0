// Numbers as people read them, with the decimal mark of their language.

import { locale } from "../format/locale";

const DIGITS = 4;

/** Whole numbers in full, others to four digits, huge and tiny ones with a power of ten. */
export function inWords(value: number | string | null): string {
  if (value === null) return "–";
  if (typeof value === "string") return value;
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return String(value);
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) return value.toExponential(DIGITS - 1).replace(".", decimalMark());
  if (size >= 1000) return written(value, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  return written(value, { maximumSignificantDigits: DIGITS });
}

/** Without marks between thousands, which columns of numbers are easier to compare without. */
function written(value: number, options: Intl.NumberFormatOptions): string {
  return value.toLocaleString(locale(), { useGrouping: false, ...options });
}

function decimalMark(): string {
  return written(0.5, {}).replace(/\d/g, "");
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
