import { describe, expect, it } from "vitest";
import { readProblem } from "@/lib/api/problem";

describe("readProblem", () => {
  it("reads what people need of a problem document", () => {
    const body =
      '{"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no audio", "hint": "send some"}';
    expect(readProblem(400, body)).toMatchObject({ detail: "no audio", hint: "send some", status: 400 });
  });

  it("does without a hint", () => {
    expect(readProblem(500, '{"detail": "broken"}')).toMatchObject({ detail: "broken", status: 500 });
  });

  it.each(["<html>Bad gateway</html>", "", "null", '"text"', '{"message": "other"}'])(
    "names the status of a foreign answer: %s",
    (body) => {
      expect(readProblem(502, body).detail).toContain("502");
    },
  );
});
