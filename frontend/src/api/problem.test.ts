import { expect, test } from "vitest";

import { Problem } from "./problem";

const BODY = JSON.stringify({
  type: "about:blank", title: "Bad axes", status: 400, detail: "The axes 'QQ' are not axes.",
  reason: "BAD_AXES", errors: [{ field: "axes", detail: "The axes 'QQ' are not axes." }],
});

test("problem details become an error with sentence, reason and field", () => {
  const problem = Problem.from(400, BODY);
  expect(problem.message).toBe("The axes 'QQ' are not axes.");
  expect(problem).toMatchObject({ status: 400, reason: "BAD_AXES", field: "axes" });
  expect(problem.isPassing).toBe(false);
});

test.each(["<html>Bad gateway</html>", "", "null", "[]", '"text"', '{"detail": 7}'])(
  "a body that is no problem (%s) still makes a sentence", (body) => {
    const problem = Problem.from(502, body, "5");
    expect(problem.message).toBe("The kiosk answered with status 502.");
    expect(problem.retryAfter_s).toBe(5);
    expect(problem.isPassing).toBe(true);
  });

test("only an outage, a full kiosk and no answer pass by themselves", () => {
  const passing = [0, 429, 502, 503, 504];
  const lasting = [400, 401, 403, 404, 409, 413, 460, 500];
  expect(passing.filter((status) => Problem.from(status, "").isPassing)).toEqual(passing);
  expect(lasting.filter((status) => Problem.from(status, "").isPassing)).toEqual([]);
});
