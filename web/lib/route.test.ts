import { expect, it } from "vitest";
import { hashOf, parseRoute, type Route } from "@/lib/route";

it.each<Route>([
  { view: "library" },
  { view: "record" },
  { view: "transcript", id: "a/b c" },
  { view: "respeak", id: "01H" },
])("finds the way back to %j", (route) => {
  expect(parseRoute(hashOf(route))).toEqual(route);
});

it.each(["", "#", "#/", "#/nowhere", "#/transcript", "#/transcript/"])("shows the library at %j", (hash) => {
  expect(parseRoute(hash)).toEqual({ view: "library" });
});
