import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ConflictError } from "@/lib/api/client";
import { ProblemError, UNREACHABLE } from "@/lib/api/problem";
import type { TranscriptDocument } from "@/lib/api/types";
import { Saver } from "@/lib/editor/saver";

const version = (number: number) => ({ version: number }) as TranscriptDocument;

function saverWith(put: (version: number) => Promise<TranscriptDocument>) {
  const steps: string[] = [];
  const saved: number[] = [];
  const saver = new Saver(1, {
    put,
    onSaved: (document) => saved.push(document.version),
    onState: ({ step }) => steps.push(step),
  });
  return { saver, steps, saved };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("saves once, a moment after the last of several changes", async () => {
  const put = vi.fn(async (from: number) => version(from + 1));
  const { saver, steps, saved } = saverWith(put);
  saver.changed();
  await vi.advanceTimersByTimeAsync(500);
  saver.changed();
  await vi.advanceTimersByTimeAsync(500);
  expect(put).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(500);
  expect(put.mock.calls).toEqual([[1]]);
  expect(steps).toEqual(["changed", "saving", "saved"]);
  expect(saved).toEqual([2]);
});

it("saves again what was changed while it saved, from the new version", async () => {
  let answer = (_: TranscriptDocument) => {};
  const put = vi.fn((_: number) => new Promise<TranscriptDocument>((resolve) => (answer = resolve)));
  const { saver } = saverWith(put);
  saver.changed();
  await vi.advanceTimersByTimeAsync(1000);
  saver.changed();
  answer(version(2));
  await vi.advanceTimersByTimeAsync(1000);
  expect(put.mock.calls).toEqual([[1], [2]]);
});

it("flushes at once, and says whether all is saved", async () => {
  const { saver, saved } = saverWith(async () => version(2));
  saver.changed();
  expect(await saver.flush()).toBe(true);
  expect(saved).toEqual([2]);
});

it("tries again until the server answers", async () => {
  let isUp = false;
  const { saver, steps } = saverWith(async () => {
    if (!isUp) throw new ProblemError(UNREACHABLE);
    return version(2);
  });
  saver.changed();
  await vi.advanceTimersByTimeAsync(1000);
  expect(steps.at(-1)).toBe("offline");
  isUp = true;
  await vi.advanceTimersByTimeAsync(5000);
  expect(steps.at(-1)).toBe("saved");
});

it("tells everybody who waits for a save whether it was done", async () => {
  const put = vi.fn(async (from: number) => version(from + 1));
  const { saver } = saverWith(put);
  saver.changed();
  expect(await Promise.all([saver.flush(), saver.flush(), saver.flush()])).toEqual([true, true, true]);
  expect(put).toHaveBeenCalledTimes(1);
});

it("tries again until the server is shown a key that it takes", async () => {
  let hasKey = false;
  const { saver, steps } = saverWith(async () => {
    if (!hasKey) throw new ProblemError({ detail: "This server wants a key.", status: 401 });
    return version(2);
  });
  saver.changed();
  await vi.advanceTimersByTimeAsync(1000);
  expect(steps.at(-1)).toBe("offline");
  hasKey = true;
  await vi.advanceTimersByTimeAsync(5000);
  expect(steps.at(-1)).toBe("saved");
});

it("waits for an answer to a conflict, and saves ours after theirs", async () => {
  const asked: number[] = [];
  const { saver, steps } = saverWith(async (from) => {
    asked.push(from);
    if (from < 7) throw new ConflictError(version(7));
    return version(from + 1);
  });
  saver.changed();
  await vi.advanceTimersByTimeAsync(1000);
  expect(steps.at(-1)).toBe("conflict");
  saver.changed();
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toEqual([1]);
  await saver.keepMine();
  expect(asked).toEqual([1, 7]);
  expect(steps.at(-1)).toBe("saved");
});

it("or goes on from theirs", async () => {
  const asked: number[] = [];
  const { saver } = saverWith(async (from) => {
    asked.push(from);
    if (from === 1) throw new ConflictError(version(7));
    return version(from + 1);
  });
  saver.changed();
  await vi.advanceTimersByTimeAsync(1000);
  saver.takeTheirs(version(7));
  expect(saver.isSaved).toBe(true);
  saver.changed();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([1, 7]);
});

it("says what the server found wrong", async () => {
  const { saver, steps } = saverWith(async () => {
    throw new ProblemError({ detail: "too long", status: 413 });
  });
  saver.changed();
  expect(await saver.flush()).toBe(false);
  expect(steps.at(-1)).toBe("failed");
});
