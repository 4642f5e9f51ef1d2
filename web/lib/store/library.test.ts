import { beforeEach, expect, it, vi } from "vitest";
import type { TranscriptItem } from "@/lib/api/types";
import { listMore, listTranscripts, removeTranscript, useLibrary } from "@/lib/store/library";

/** Answers of the server that come when the test says so. */
let asked: { url: string; answer: (ids: string, next?: string) => Promise<void> }[] = [];

beforeEach(() => {
  asked = [];
  useLibrary.setState({ query: "", items: null, next: null, problem: null });
  vi.stubGlobal("fetch", (url: string) => {
    let resolve = (_: Response) => {};
    const promise = new Promise<Response>((done) => (resolve = done));
    const answer = async (ids: string, next: string | null = null) => {
      resolve(Response.json({ items: [...ids].map((id) => ({ id }) as TranscriptItem), next }));
      await new Promise((done) => setTimeout(done)); // until the page has read it
    };
    asked.push({ url, answer });
    return promise;
  });
});

const shown = () =>
  useLibrary
    .getState()
    .items?.map(({ id }) => id)
    .join("");
const answer = async (index: number, ids: string, next?: string) => asked[index]?.answer(ids, next);

it("shows the list that was asked for last, whichever answer comes last", async () => {
  listTranscripts("a");
  listTranscripts("b");
  await answer(1, "b");
  await answer(0, "a");
  expect(shown()).toBe("b");
});

it("adds a page once, however often it is asked for", async () => {
  listTranscripts();
  await answer(0, "cb", "after-b");
  listMore();
  listMore();
  expect(asked).toHaveLength(2);
  await answer(1, "a");
  expect(shown()).toBe("cba");
  expect(useLibrary.getState().next).toBeNull();
});

it("drops a page of a list that was asked for anew meanwhile", async () => {
  listTranscripts();
  await answer(0, "cb", "after-b");
  listMore();
  listTranscripts();
  await answer(2, "dc", "after-c");
  await answer(1, "a");
  expect(shown()).toBe("dc");
  listMore();
  await answer(3, "ba");
  expect(shown()).toBe("dcba");
});

it("does not show again what was deleted, though a list that is under way has it", async () => {
  listTranscripts();
  await answer(0, "ba");
  listTranscripts();
  const removed = removeTranscript("b");
  await answer(2, "");
  await removed;
  await answer(1, "ba");
  expect(shown()).toBe("a");
});
