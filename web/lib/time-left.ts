/** How long work will still take, from how far it has come. */

/** Seconds left, or null while nobody can tell: too little is done, or the whole is unknown. */
export function timeLeftS(doneS: number, totalS: number | null, elapsedS: number): number | null {
  if (totalS === null || totalS <= 0 || doneS <= 0 || elapsedS < 1) return null;
  const share = doneS / totalS;
  return share < 0.02 ? null : Math.max(0, (elapsedS * (1 - share)) / share);
}

/** "about 2 min left": coarse, because it is a guess. */
export function timeLeftText(seconds: number): string {
  if (seconds < 5) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `about ${Math.max(minutes, 1)} min left` : `about ${(seconds / 3600).toFixed(1)} h left`;
}
