"use client";

import { AudioLines, LoaderCircle } from "lucide-react";
import { useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/field";
import { Switch } from "@/components/ui/switch";
import type { RespeakChoices } from "@/lib/api/client";
import { useChoices } from "@/lib/store/choices";
import { useServer } from "@/lib/store/server";

/** Who speaks: an engine that can, and one of its voices. What an engine lacks is said beside it. */
export function Chooser({
  isBusy,
  isAgain,
  onSpeak,
  onCancel,
}: {
  isBusy: boolean;
  isAgain: boolean;
  onSpeak: (choices: RespeakChoices) => void;
  onCancel: () => void;
}) {
  const engines = useServer(({ capabilities }) => capabilities?.engines ?? []);
  const { engine: chosen, voices: chosenVoices } = useChoices();
  const [keepTiming, setKeepTiming] = useState(false);
  const ids = { engine: useId(), voice: useId() };
  const engine =
    engines.find(({ name, available }) => name === chosen && available) ?? engines.find((e) => e.available);
  const missing = engines.filter(({ available }) => !available);
  const voice = engine?.voices.find(({ id }) => id === chosenVoices[engine.name]) ?? engine?.voices[0];
  const speak = () => {
    if (!engine) return;
    onSpeak({ engine: engine.name, seed: 0, keep_timing: keepTiming, ...(voice && { voice: voice.id }) });
  };
  return (
    <section aria-label="Who speaks" className="mt-6 rounded-2xl border border-line bg-sheet p-4 sm:p-5">
      <div className="flex flex-wrap items-end gap-4">
        <label htmlFor={ids.engine} className="w-full text-sm sm:w-52">
          <span className="mb-1 block font-medium">Engine</span>
          <Select
            id={ids.engine}
            className="w-full"
            value={engine?.name ?? ""}
            disabled={isBusy}
            onChange={({ target }) => useChoices.setState({ engine: target.value })}
          >
            {engines.map(({ name, available }) => (
              <option key={name} value={name} disabled={!available}>
                {engineTitle(name)}
                {!available && ", not set up"}
              </option>
            ))}
          </Select>
        </label>
        <label htmlFor={ids.voice} className="w-full text-sm sm:w-72">
          <span className="mb-1 block font-medium">Voice</span>
          <Select
            id={ids.voice}
            className="w-full"
            value={voice?.id ?? ""}
            disabled={isBusy || !engine}
            onChange={({ target }) =>
              engine && useChoices.setState({ voices: { ...chosenVoices, [engine.name]: target.value } })
            }
          >
            {engine?.voices.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </Select>
        </label>
        <span className="flex h-10 items-center">
          <Switch label="Keep the original's timing" checked={keepTiming} onCheckedChange={setKeepTiming} />
        </span>
        <span className="ml-auto flex gap-2">
          {isBusy && <Button onClick={onCancel}>Cancel</Button>}
          <Button variant="solid" disabled={isBusy || !engine} onClick={speak}>
            {isBusy ? <LoaderCircle aria-hidden className="animate-spin" /> : <AudioLines aria-hidden />}
            {isBusy ? "Speaking" : isAgain ? "Speak again" : "Speak"}
          </Button>
        </span>
      </div>
      {missing.length > 0 && (
        <ul className="mt-3 text-muted text-sm">
          {missing.map(({ name, why_not: whyNot }) => (
            <li key={name}>
              {engineTitle(name)}: {whyNot ?? "not available"}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

const TITLES: Record<string, string> = {
  local: "Local engine",
  elevenlabs: "ElevenLabs v3",
  mistral: "Mistral Voxtral TTS",
};

/** What people call an engine, as the server names it: `local`, or with what spoke in it, `local/espeak`. */
export function engineTitle(name: string): string {
  const [engine = name, part] = name.split("/");
  const title = TITLES[engine] ?? `${engine.charAt(0).toUpperCase()}${engine.slice(1)}`;
  return part ? `${title} (${part})` : title;
}
