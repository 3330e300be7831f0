import { afterEach, expect, test, vi } from "vitest";

import * as locale from "../format/locale";
import { inWords } from "./numbers";

afterEach(() => vi.restoreAllMocks());

test.each([
  ["en", 19.891, "19.89"], ["en", 12345.67, "12345.7"], ["en", 70007, "70007"], ["en", 1.5e-5, "1.500e-5"],
  ["de", 19.891, "19,89"], ["de", 12345.67, "12345,7"], ["de", 70007, "70007"], ["de", 1.5e-5, "1,500e-5"],
])("%s: %d is %s", (language, value, words) => {
  vi.spyOn(locale, "locale").mockReturnValue(language);
  expect(inWords(value)).toBe(words);
});
