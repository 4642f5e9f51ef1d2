"use client";

import { type RefObject, useEffect, useRef } from "react";

const BAR_PX = 3;
const GAP_PX = 2;
const CLIPS_AT = 0.98;

/** The last levels of the microphone, drawn at each frame; too loud is drawn in red. */
export function LevelMeter({ levels, isRunning }: { levels: RefObject<number[]>; isRunning: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen) return;
    const scale = window.devicePixelRatio;
    element.width = element.clientWidth * scale;
    element.height = element.clientHeight * scale;
    const colour = (name: string) => getComputedStyle(element).getPropertyValue(name);
    let frame = 0;
    const draw = () => {
      pen.clearRect(0, 0, element.width, element.height);
      pen.save();
      pen.scale(scale, scale);
      const bars = Math.floor(element.clientWidth / (BAR_PX + GAP_PX));
      const shown = levels.current.slice(-bars);
      for (let bar = 0; bar < bars; bar++) {
        const level = shown[bar - (bars - shown.length)] ?? 0;
        // Speech keeps to the lower part of the scale: the square root lets it be seen.
        const height = Math.max(2, Math.sqrt(level) * element.clientHeight);
        pen.fillStyle = colour(level >= CLIPS_AT ? "--danger" : level > 0 ? "--ink" : "--line");
        pen.fillRect(bar * (BAR_PX + GAP_PX), (element.clientHeight - height) / 2, BAR_PX, height);
      }
      pen.restore();
      if (isRunning) frame = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(frame);
  }, [levels, isRunning]);
  return <canvas ref={canvas} role="img" aria-label="Level of the microphone" className="h-12 min-w-16 flex-1" />;
}
