/** Where in the Studio one is: in the address after `#`, because the page is a file that a server hands out as it is. */

import { useSyncExternalStore } from "react";

export type Route =
  | { view: "library" }
  | { view: "record" }
  | { view: "transcript"; id: string }
  | { view: "respeak"; id: string };

export function parseRoute(hash: string): Route {
  const [first, id, second] = hash
    .replace(/^#?\/?/, "")
    .split("/")
    .map(decodeURIComponent);
  if (first === "record") return { view: "record" };
  if (first === "transcript" && id) return { view: second === "respeak" ? "respeak" : "transcript", id };
  return { view: "library" };
}

export function hashOf(route: Route): string {
  if (route.view === "library") return "#/";
  if (route.view === "record") return "#/record";
  return `#/transcript/${encodeURIComponent(route.id)}${route.view === "respeak" ? "/respeak" : ""}`;
}

export function goTo(route: Route): void {
  window.location.hash = hashOf(route);
}

const subscribe = (listener: () => void) => {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
};

let known: { hash: string; route: Route } = { hash: "", route: { view: "library" } };

function current(): Route {
  const { hash } = window.location;
  if (hash !== known.hash) known = { hash, route: parseRoute(hash) };
  return known.route;
}

/** The route, null while the page has not yet woken up in a browser. */
export const useRoute = (): Route | null => useSyncExternalStore<Route | null>(subscribe, current, () => null);
