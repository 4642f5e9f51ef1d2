import { expect, it } from "vitest";
import { wavFile } from "@/lib/recording/wav";

it("writes the header that the format asks for, and the samples after it", async () => {
  const frames = [Int16Array.of(1, -2).buffer, Int16Array.of(3).buffer];
  const file = wavFile(frames, 16_000, "a.wav");
  const bytes = new Uint8Array(await file.arrayBuffer());
  // Written out by hand from the RIFF WAVE description (PCM, 1 channel, 16,000 Hz, 32,000 bytes a second, 16 bits).
  const header = "52494646 2a000000 57415645 666d7420 10000000 0100 0100 803e0000 007d0000 0200 1000 64617461 06000000";
  const expected = `${header} 0100 feff 0300`.replaceAll(" ", "");
  expect([...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")).toBe(expected);
  expect([file.name, file.type]).toEqual(["a.wav", "audio/wav"]);
});
