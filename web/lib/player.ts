/** One recording's sound: an audio element that tells its position at each frame while it plays. */

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2] as const;

export class Player {
  readonly audio: HTMLAudioElement;
  /** Stop here, when a passage is played. */
  private stopAtS = Number.POSITIVE_INFINITY;
  private frame = 0;
  private readonly listeners = new Set<() => void>();

  constructor(source: string) {
    this.audio = new Audio();
    this.audio.preload = "metadata";
    this.audio.src = source;
    for (const event of ["play", "pause", "ratechange", "seeked", "error", "loadedmetadata"]) {
      this.audio.addEventListener(event, this.tell);
    }
    this.audio.addEventListener("play", this.followFrames);
  }

  get isPlaying() {
    return !this.audio.paused;
  }
  get atS() {
    return this.audio.currentTime;
  }
  get isBroken() {
    return this.audio.error !== null;
  }

  play(fromS?: number, untilS = Number.POSITIVE_INFINITY) {
    if (fromS !== undefined) this.audio.currentTime = fromS;
    this.stopAtS = untilS;
    this.audio.play().catch(() => this.tell()); // refused or broken: the error is told by the element
  }

  pause() {
    this.audio.pause();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  seek(seconds: number) {
    this.stopAtS = Number.POSITIVE_INFINITY;
    const end = Number.isFinite(this.audio.duration) ? this.audio.duration : Number.POSITIVE_INFINITY;
    this.audio.currentTime = Math.max(0, Math.min(seconds, end));
    this.tell();
  }

  setSpeed(speed: number) {
    this.audio.playbackRate = speed;
  }

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  dispose() {
    cancelAnimationFrame(this.frame);
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    this.listeners.clear();
  }

  private tell = () => {
    for (const listener of this.listeners) listener();
  };

  // `timeupdate` comes four times a second, which looks like stumbling.
  private followFrames = () => {
    cancelAnimationFrame(this.frame);
    const follow = () => {
      if (this.atS >= this.stopAtS) this.pause();
      this.tell();
      if (this.isPlaying) this.frame = requestAnimationFrame(follow);
    };
    this.frame = requestAnimationFrame(follow);
  };
}
