import { expect, test } from "vitest";

import { comparePath, jobPath, routeOf } from "./routes";

test("addresses and pages belong together", () => {
  expect(routeOf("/")).toEqual({ page: "home" });
  expect(routeOf(jobPath("a/b c"))).toEqual({ page: "job", id: "a/b c" });
  const [path = "", search] = comparePath("a", "uploads/b").split("?");
  expect(routeOf(path, search)).toEqual({ page: "compare", job: "a", with: "uploads/b" });
});

test("an address that means nothing is said to", () => {
  expect(routeOf("/jobs/")).toEqual({ page: "nowhere" });
  expect(routeOf("/jobs/a/b")).toEqual({ page: "nowhere" });
  expect(routeOf("/jobs/%")).toEqual({ page: "job", id: "%" });
});
