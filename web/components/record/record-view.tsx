"use client";

/** Recording: what is said appears while it is said, and is kept at the end. */

import { Circle, Square } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { ProblemNotice } from "@/components/problem-notice";
import { LevelMeter } from "@/components/record/level-meter";
import { LiveTranscript } from "@/components/record/live-transcript";
import { toast } from "@/components/toaster";
import { Button } from "@/components/ui/button";
import { Select } from "@/components/ui/field";
import { postTranscript } from "@/lib/api/client";
import { problemOf } from "@/lib/api/problem";
import { clock } from "@/lib/format";
import { type LiveText, NOTHING_HEARD, transcriptOf } from "@/lib/recording/live";
import { microphones, Recorder, type RecorderState } from "@/lib/recording/recorder";
import { goTo } from "@/lib/route";
import { useChoices } from "@/lib/store/choices";
import { listTranscripts } from "@/lib/store/library";
import { remember } from "@/lib/store/memory";
import { useServer } from "@/lib/store/server";
import { addFiles } from "@/lib/store/uploads";

const LANGUAGE = "en";

type Step = { step: "idle" } | RecorderState | { step: "keeping" };

export default function RecordView() {
  const { microphone, microphoneName: name } = useChoices();
  const [state, setState] = useState<Step>({ step: "idle" });
  const [live, setLive] = useState<LiveText>(NOTHING_HEARD);
  const [durationS, setDurationS] = useState(0);
  const levels = useRef<number[]>([]);
  const recorder = useRef<Recorder | null>(null);

  const isHere = useRef(true);

  useEffect(() => {
    isHere.current = true;
    return () => {
      isHere.current = false;
      const unheard = recorder.current?.leave();
      if (!unheard) return;
      addFiles([unheard], {});
      toast("What you recorded so far is being transcribed");
    };
  }, []);

  const keep = async (file: File, length: number) => {
    const heard = recorder.current?.heard ?? NOTHING_HEARD;
    // Not heard to its end: the server is given the sound itself.
    if (!heard.isDone || heard.problem) {
      addFiles([file], {});
      return goTo({ view: "library" });
    }
    const transcript = transcriptOf(heard, length, file.name);
    const isKept = useServer.getState().capabilities?.store ?? true;
    if (!isKept) return goTo({ view: "transcript", id: remember(file, transcript) });
    setState({ step: "keeping" });
    try {
      const { id } = await postTranscript(file, transcript);
      if (isHere.current) goTo({ view: "transcript", id });
      else listTranscripts();
    } catch (error) {
      setState({ step: "failed", problem: problemOf(error) });
    }
  };

  const start = () => {
    recorder.current?.leave();
    setLive(NOTHING_HEARD);
    setDurationS(0);
    levels.current = [];
    const fresh = new Recorder({
      onState: (next) => {
        setState(next);
        if (next.step === "done") keep(next.file, next.durationS);
      },
      onLive: setLive,
      onLevel: (peak, length) => {
        levels.current.push(peak);
        setDurationS(length);
      },
      onUnplugged: () => toast("The microphone is gone: what it heard until then is kept"),
    });
    recorder.current = fresh;
    fresh.start(microphone, LANGUAGE);
  };

  const isRecording = state.step === "recording";
  useEffect(() => {
    if (!isRecording) return;
    const onLeave = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", onLeave);
    return () => window.removeEventListener("beforeunload", onLeave);
  }, [isRecording]);
  const inputs = useMicrophones(isRecording);
  const isMissing = microphone !== "" && inputs !== null && !inputs.some(({ deviceId }) => deviceId === microphone);
  let substitute = "";
  if (state.step === "recording" && !state.input.isChosen) {
    substitute = `${name} is not connected: you are recorded with ${state.input.name || "another microphone"}.`;
  } else if (isMissing && !isRecording) {
    substitute = `${name} is not connected: connect it, or the default microphone is used.`;
  }
  const isEnding = state.step === "finishing" || state.step === "keeping" || state.step === "done";
  return (
    <section aria-labelledby="record" className="pb-40">
      <h1 id="record" className="mt-4 font-serif text-3xl sm:mt-8">
        {isRecording ? "Recording" : isEnding ? "Hearing the end of it" : "Record"}
      </h1>
      <p className="mt-1.5 min-h-6 text-muted">
        {isRecording
          ? "Speak: what is certain stands in ink, what may still change in grey."
          : isEnding
            ? "A moment, then you can read it."
            : "The sound goes to this server only, and the text appears while you speak."}
      </p>

      {state.step === "failed" && (
        <ProblemNotice problem={state.problem} className="mt-6">
          <Button size="small" onClick={start}>
            Try again
          </Button>
        </ProblemNotice>
      )}
      {live.problem && isRecording && <ProblemNotice problem={{ detail: live.problem }} className="mt-6" />}

      <div className="mt-6 flex flex-wrap items-center gap-3 rounded-2xl border border-line bg-sheet p-4 sm:gap-6 sm:p-5">
        {isRecording ? (
          <Button variant="solid" size="large" className="min-w-36" onClick={() => recorder.current?.stop()}>
            <Square aria-hidden className="fill-current" />
            Stop
          </Button>
        ) : (
          <Button
            variant="solid"
            size="large"
            className="min-w-36"
            disabled={isEnding || state.step === "starting"}
            onClick={start}
          >
            <Circle aria-hidden className="fill-danger text-danger" />
            {isEnding ? "Finishing" : state.step === "starting" ? "Starting" : "Start"}
          </Button>
        )}
        <LevelMeter levels={levels} isRunning={isRecording} />
        <span role="timer" aria-label="Length" className="font-medium text-lg tabular-nums">
          {clock(durationS)}
        </span>
        <InputChoice inputs={inputs} isDisabled={isRecording || isEnding || state.step === "starting"} />
      </div>
      <p role="status" className="mt-3 min-h-5 text-sm">
        {substitute}
      </p>

      <LiveTranscript live={live} isRunning={isRecording || isEnding} />
    </section>
  );
}

/** The microphones that this browser has heard of; null while it tells none, which it does not before one was allowed. */
function useMicrophones(isRecording: boolean): MediaDeviceInfo[] | null {
  const [inputs, setInputs] = useState<MediaDeviceInfo[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: known once a recording was allowed: asked again
  useEffect(() => {
    const list = () => microphones().then(setInputs, () => {});
    list();
    navigator.mediaDevices?.addEventListener("devicechange", list);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", list);
  }, [isRecording]);
  return inputs.length > 0 ? inputs : null;
}

function InputChoice({ inputs, isDisabled }: { inputs: MediaDeviceInfo[] | null; isDisabled: boolean }) {
  const { microphone: chosen, microphoneName } = useChoices();
  const named = (inputs ?? []).filter(({ deviceId, label }) => deviceId !== "default" && label);
  const isListed = named.some(({ deviceId }) => deviceId === chosen);
  const choose = (id: string) => {
    const name = named.find(({ deviceId }) => deviceId === id)?.label ?? "";
    useChoices.setState({ microphone: name ? id : "", microphoneName: name });
  };
  return (
    <Select
      aria-label="Microphone"
      className="w-full sm:w-56"
      disabled={isDisabled}
      value={chosen}
      onChange={({ target }) => choose(target.value)}
    >
      <option value="">Default microphone</option>
      {chosen && !isListed && (
        <option value={chosen}>
          {microphoneName}
          {inputs && " (not connected)"}
        </option>
      )}
      {named.map(({ deviceId, label }) => (
        <option key={deviceId} value={deviceId}>
          {label}
        </option>
      ))}
    </Select>
  );
}
