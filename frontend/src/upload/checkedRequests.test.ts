import type { HttpRequest, HttpStack } from "tus-js-client";
import { expect, test } from "vitest";

import { CheckedRequests } from "./checkedRequests";

function plain() {
  const headers: Record<string, string> = {};
  const sent: unknown[] = [];
  const request = {
    setHeader: (name: string, value: string) => { headers[name] = value; },
    send: (body: unknown) => { sent.push(body); return Promise.resolve({}); },
  } as unknown as HttpRequest;
  const stack: HttpStack = { createRequest: () => request, getName: () => "plain" };
  return { headers, sent, stack };
}

test("a piece goes with its checksum", async () => {
  const { headers, sent, stack } = plain();
  const piece = new Blob(["abc"]);
  await new CheckedRequests(stack).createRequest("PATCH", "/x").send(piece);
  // Of "abc", from FIPS 180-2.
  expect(headers["Upload-Checksum"]).toBe("sha256 ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
  expect(sent).toEqual([piece]);
});

test("a question without a body has none", async () => {
  const { headers, sent, stack } = plain();
  await new CheckedRequests(stack).createRequest("HEAD", "/x").send(null);
  expect(headers).toEqual({});
  expect(sent).toEqual([null]);
});

test("a file that cannot be read any more says so and is not sent", async () => {
  const { sent, stack } = plain();
  const gone = Object.assign(new Blob(["abc"]), { arrayBuffer: () => Promise.reject(new Error("gone")) });
  await expect(new CheckedRequests(stack).createRequest("PATCH", "/x").send(gone))
    .rejects.toMatchObject({ status: 400, message: expect.stringContaining("cannot read this file") });
  expect(sent).toEqual([]);
});
