// Numbers as people write and read them.

import { locale } from "./locale";

/** "1,234.5" or "1.234,5", whichever the reader is used to; about `digits` significant digits. */
export function number(value: number, digits = 4): string {
  return value.toLocaleString(locale(), { maximumSignificantDigits: digits });
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString(locale());
}

/** "1 job", "1,200 jobs". */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${whole(value)} ${value === 1 ? one : many}`;
}

export function percent(share: number): string {
  return Math.min(1, Math.max(0, share)).toLocaleString(locale(), {
    style: "percent", maximumFractionDigits: 0,
  });
}

/**
 * A number that somebody has typed: "0.65" and "0,65" are the same, "1 000" is a thousand. NaN for
 * what is no number. Of two kinds of marks the last is the decimal one; "1,200" is a thousand only
 * where the reader's own numbers are written so.
 */
export function parseNumber(text: string, language = locale()): number {
  let plain = text.trim().replace(/[\s\u00a0\u202f'’]/g, "");
  if (plain === "") return NaN;
  const mark = groupMark(language);
  if (mark && new RegExp(`^[+-]?[1-9]\\d{0,2}([${mark}]\\d{3})+$`).test(plain)) {
    plain = plain.replaceAll(mark, "");
  }
  const [comma, point] = [plain.lastIndexOf(","), plain.lastIndexOf(".")];
  if (comma >= 0 && point >= 0) {
    const group = comma > point ? "." : ",";
    plain = plain.replaceAll(group, "");
  }
  plain = plain.replace(",", ".");
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
}

/** A number for an input field: never grouped, so that it can be read again. */
export function typed(value: number): string {
  return value.toLocaleString(locale(), { maximumSignificantDigits: 12, useGrouping: false });
}

/** "," or "." where it divides thousands; "" for spaces and the like, which never mislead. */
function groupMark(language: string | undefined): string {
  const parts = new Intl.NumberFormat(language).formatToParts(1234567);
  const mark = parts.find((part) => part.type === "group")?.value ?? "";
  return mark === "," || mark === "." ? mark : "";
}
