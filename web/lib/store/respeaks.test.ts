import { beforeEach, expect, it, vi } from "vitest";
import type { Respeak } from "@/lib/api/types";
import { showLast, showRespeak, useRespeaks } from "@/lib/store/respeaks";

const spoken = (id: string, created_at: string) => ({ id, created_at }) as Respeak;
const shown = () => useRespeaks.getState().talk?.respeak.id;

beforeEach(() => {
  useRespeaks.setState({}, true);
  vi.stubGlobal("fetch", async () => Response.json({ original: null, respeak: null }));
});

it("shows what was spoken before", async () => {
  await showLast("talk", spoken("old", "2026-01-01T00:00:00Z"));
  expect(shown()).toBe("old");
});

it("leaves what was just spoken when the list of before comes late", async () => {
  await showRespeak("talk", spoken("new", "2026-01-02T00:00:00Z"));
  await showLast("talk", spoken("old", "2026-01-01T00:00:00Z"));
  expect(shown()).toBe("new");
});

it("shows what another page spoke since", async () => {
  await showRespeak("talk", spoken("ours", "2026-01-01T00:00:00Z"));
  await showLast("talk", spoken("theirs", "2026-01-02T00:00:00Z"));
  expect(shown()).toBe("theirs");
});
