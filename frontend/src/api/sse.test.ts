import { expect, test } from "vitest";

import { EventParser } from "./sse";

const STREAM = "retry: 2000\n\nid: 1-0\ndata: {\"a\":1}\n\n: still here\n\nevent: position\ndata: {\"jobs_ahead\": 3}\n\n";

test("events are the same however the text is cut", () => {
  const whole = new EventParser().push(STREAM);
  const parser = new EventParser();
  expect([...STREAM].flatMap((letter) => parser.push(letter))).toEqual(whole);
  expect(whole).toEqual([
    { kind: "message", data: '{"a":1}', id: "1-0" },
    { kind: "position", data: '{"jobs_ahead": 3}', id: "1-0" },
  ]);
  expect(parser.retry_ms).toBe(2000);
});

test("lines may end as on any system, and several make one text", () => {
  const parser = new EventParser();
  expect(parser.push("data: one\r\ndata:two\r\n\r")).toEqual([]);
  expect(parser.push("\n")).toEqual([{ kind: "message", data: "one\ntwo", id: "" }]);
});

test("an event that has not ended is not told, and the last id is that of whole lines", () => {
  const parser = new EventParser("7-0");
  expect(parser.push("id: 8-0\ndata: half")).toEqual([]);
  expect(parser.lastId).toBe("8-0");
  expect(parser.push("\n\n")).toEqual([{ kind: "message", data: "half", id: "8-0" }]);
});
