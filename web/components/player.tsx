"use client";

import * as Slider from "@radix-ui/react-slider";
import { Pause, Play } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { clock } from "@/lib/format";
import { peaksOfFile } from "@/lib/waveform";

const PEAKS = 96;
const SEEK_STEP_S = 0.1;

/** Plays a recording; its waveform is the slider that seeks in it. */
export function Player({ file, durationS }: { file: File; durationS: number }) {
  const audio = useRef<HTMLAudioElement>(null);
  const [playing, setPlaying] = useState(false);
  const [playable, setPlayable] = useState(true);
  const [atS, setAtS] = useState(0);
  const peaks = usePeaks(file);

  useEffect(() => {
    const url = URL.createObjectURL(file);
    if (audio.current) audio.current.src = url;
    return () => URL.revokeObjectURL(url);
  }, [file]);

  // `timeupdate` comes four times a second, which looks like stumbling: read the position at each frame.
  useEffect(() => {
    if (!playing) return;
    let frame = requestAnimationFrame(function follow() {
      setAtS(audio.current?.currentTime ?? 0);
      frame = requestAnimationFrame(follow);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing]);

  const seek = (seconds: number) => {
    setAtS(seconds);
    if (audio.current) audio.current.currentTime = seconds;
  };

  return (
    <section
      aria-label="Recording"
      className="flex items-center gap-3 rounded-xl border border-line bg-sheet p-3 sm:gap-4"
    >
      {/* biome-ignore lint/a11y/useMediaCaption: the transcript below is the caption */}
      <audio
        ref={audio}
        preload="metadata"
        onPlay={() => setPlaying(true)}
        onPause={() => setPlaying(false)}
        onError={() => setPlayable(false)}
      />
      <Button
        variant="solid"
        size="icon"
        className="rounded-full"
        disabled={!playable}
        aria-label={playing ? "Pause" : "Play"}
        onClick={() => (playing ? audio.current?.pause() : audio.current?.play())}
      >
        {playing ? (
          <Pause aria-hidden className="fill-current" />
        ) : (
          <Play aria-hidden className="translate-x-px fill-current" />
        )}
      </Button>
      {playable ? (
        <>
          <Slider.Root
            className="relative flex h-11 min-w-0 flex-1 cursor-pointer touch-none select-none items-center"
            min={0}
            max={Math.max(durationS, SEEK_STEP_S)}
            step={SEEK_STEP_S}
            value={[Math.min(atS, durationS)]}
            onValueChange={([seconds]) => seek(seconds ?? 0)}
          >
            <Slider.Track className="relative h-full w-full">
              <Waveform peaks={peaks} played={durationS > 0 ? atS / durationS : 0} />
            </Slider.Track>
            <Slider.Thumb
              aria-label="Position"
              aria-valuetext={`${clock(atS)} of ${clock(durationS)}`}
              className="block h-11 w-0.5 rounded-full bg-emotion focus-visible:w-1"
            />
          </Slider.Root>
          <span className="text-muted text-sm tabular-nums">
            {clock(atS)} <span aria-hidden>/</span> {clock(durationS)}
          </span>
        </>
      ) : (
        <p className="text-muted text-sm">This browser cannot play this kind of file.</p>
      )}
    </section>
  );
}

/** Bars of the peaks, the played part in ink; a thin line while there are none. */
function Waveform({ peaks, played }: { peaks: number[] | null; played: number }) {
  return (
    <svg aria-hidden viewBox={`0 0 ${PEAKS} 1`} preserveAspectRatio="none" className="h-full w-full">
      {(peaks ?? Array<number>(PEAKS).fill(0)).map((peak, index) => {
        const height = Math.max(peak * 0.9, 0.05);
        return (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: a bar is its place
            key={index}
            x={index + 0.2}
            y={(1 - height) / 2}
            width={0.6}
            height={height}
            className={index < played * PEAKS ? "fill-ink" : "fill-muted/45"}
          />
        );
      })}
    </svg>
  );
}

function usePeaks(file: File): number[] | null {
  const [peaks, setPeaks] = useState<number[] | null>(null);
  useEffect(() => {
    let current = true;
    setPeaks(null);
    peaksOfFile(file, PEAKS).then((found) => {
      if (current) setPeaks(found);
    });
    return () => {
      current = false;
    };
  }, [file]);
  return peaks;
}
