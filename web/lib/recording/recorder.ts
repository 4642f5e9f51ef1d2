/** The microphone: its sound goes to the server as it is spoken, and is kept here as a recording. */

import { hear, type LiveMessage, type LiveText, NOTHING_HEARD } from "@/lib/recording/live";
import { wavFile } from "@/lib/recording/wav";

const SAMPLE_RATE_HZ = 16_000;
/** What the socket may hold back before the network is too slow to be live. */
const MAX_BUFFERED_BYTES = 4 * 2 ** 20;

export type RecorderState =
  | { step: "starting" }
  | { step: "recording"; input: Input }
  | { step: "finishing" }
  | { step: "done"; file: File; durationS: number }
  | { step: "failed"; problem: { detail: string; hint?: string } };

/** The microphone that is heard; `isChosen` is false where another one was asked for and is not there. */
export interface Input {
  name: string;
  isChosen: boolean;
}

interface Told {
  onState: (state: RecorderState) => void;
  onLive: (live: LiveText) => void;
  /** The level of each frame, 0..1, and how long the recording is. */
  onLevel: (peak: number, durationS: number) => void;
  /** The microphone went away in the midst of it: what it heard until then is kept, as after a stop. */
  onUnplugged: () => void;
}

/** The microphones there are; their names are known once one was allowed. */
export async function microphones(): Promise<MediaDeviceInfo[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter(({ kind, deviceId }) => kind === "audioinput" && deviceId);
}

export class Recorder {
  private live = NOTHING_HEARD;
  private readonly frames: ArrayBuffer[] = [];
  private samples = 0;
  private stream: MediaStream | null = null;
  private context: AudioContext | null = null;
  private socket: WebSocket | null = null;
  private state: RecorderState = { step: "starting" };

  constructor(private readonly told: Told) {}

  get heard(): LiveText {
    return this.live;
  }

  /** Ask for the microphone and begin; what fails is told as a state. */
  async start(deviceId: string, language: string): Promise<void> {
    this.enter({ step: "starting" });
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "InsecureContextError");
      this.stream = await openMicrophone(deviceId);
      if (this.isLeft) return this.release(); // while one was asked for the microphone
      const { context, source } = openContext(this.stream);
      this.context = context;
      await context.audioWorklet.addModule("/microphone-worklet.js");
      if (this.isLeft) return;
      const worklet = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
      worklet.port.onmessage = ({ data }) => this.take(data.pcm, data.peak);
      this.connect(context.sampleRate, language);
      source.connect(worklet);
      const [track] = this.stream.getAudioTracks();
      track?.addEventListener("ended", () => this.unplugged());
      const isChosen = !deviceId || track?.getSettings().deviceId === deviceId;
      this.enter({ step: "recording", input: { name: track?.label ?? "", isChosen } });
    } catch (error) {
      this.release();
      if (this.isLeft) return;
      this.enter({ step: "failed", problem: microphoneProblem(error) });
    }
  }

  /** End the recording; the state becomes `done` when the server has heard it all, or is not there to. */
  stop(): void {
    if (this.state.step !== "recording") return;
    this.releaseMicrophone();
    this.enter({ step: "finishing" });
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"type":"stop"}');
    else this.finish();
  }

  private unplugged(): void {
    if (this.state.step !== "recording") return;
    this.told.onUnplugged();
    this.stop();
  }

  /** Stop at once and tell nothing more. Gives what was recorded and is not told as `done`, if anything. */
  leave(): File | null {
    const { step } = this.state;
    this.isLeft = true;
    this.release();
    return this.samples > 0 && (step === "recording" || step === "finishing") ? this.file() : null;
  }

  private enter(state: RecorderState): void {
    this.state = state;
    this.told.onState(state);
  }

  private take(pcm: ArrayBuffer, peak: number): void {
    if (this.state.step !== "recording") return;
    this.frames.push(pcm);
    this.samples += pcm.byteLength / 2;
    this.told.onLevel(peak, this.durationS);
    const { socket } = this;
    if (!socket) return;
    if (socket.readyState === WebSocket.OPEN) {
      for (const frame of this.unsent.splice(0)) socket.send(frame);
      socket.send(pcm);
      // A transcript with holes is worth less than one that comes later.
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) socket.close();
    } else if (socket.readyState === WebSocket.CONNECTING) this.unsent.push(pcm);
  }

  private readonly unsent: ArrayBuffer[] = [];
  private isLeft = false;

  private get durationS(): number {
    return this.samples / (this.context?.sampleRate ?? SAMPLE_RATE_HZ);
  }

  private connect(sampleRate: number, language: string): void {
    const address = new URL("/transcribe/stream", window.location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ type: "start", sample_rate: sampleRate, language }));
    socket.onmessage = ({ data }) => {
      const message: LiveMessage = JSON.parse(data);
      this.live = hear(this.live, message);
      this.told.onLive(this.live);
      if (message.type === "done") this.finish();
    };
    socket.onclose = () => {
      if (this.live.isDone) return;
      const problem =
        this.live.problem ?? "The connection to the server broke off: what you say is kept as sound only.";
      this.live = { ...this.live, problem };
      this.told.onLive(this.live);
      if (this.state.step === "finishing") this.finish();
    };
  }

  private finish(): void {
    const { durationS } = this;
    this.release();
    this.enter({ step: "done", file: this.file(), durationS });
  }

  private file(): File {
    const sampleRate = this.context?.sampleRate ?? SAMPLE_RATE_HZ;
    const name = `Recording ${new Date().toLocaleString("sv").slice(0, 16).replace(":", ".")}.wav`;
    return wavFile(this.frames, sampleRate, name);
  }

  private releaseMicrophone(): void {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
  }

  private release(): void {
    this.releaseMicrophone();
    if (this.context?.state !== "closed") this.context?.close();
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.onmessage = null;
    }
    this.socket?.close();
    this.socket = null;
  }
}

/** The microphone that was chosen; the default one where none was, or where that one is not there any more. */
async function openMicrophone(deviceId: string): Promise<MediaStream> {
  const ask = (wanted: MediaTrackConstraints) =>
    navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...wanted } });
  if (!deviceId) return ask({});
  try {
    return await ask({ deviceId: { exact: deviceId } }); // of an `ideal` one Chromium makes nothing
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotAllowedError") throw error;
    return ask({});
  }
}

/** At the rate that the server works with where the browser can, else at the microphone's own. */
function openContext(stream: MediaStream) {
  const context = new AudioContext({ sampleRate: SAMPLE_RATE_HZ });
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    context.close();
    const own = new AudioContext();
    return { context: own, source: own.createMediaStreamSource(stream) };
  }
}

function microphoneProblem(error: unknown): { detail: string; hint?: string } {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") {
    const hint = "allow the microphone for this page in the browser's address bar, then try again";
    return { detail: "The microphone was refused.", hint };
  }
  if (name === "NotFoundError") {
    return { detail: "There is no microphone.", hint: "connect one, or choose another input" };
  }
  if (name === "InsecureContextError") {
    const hint = "open the Studio at localhost, or serve it over https";
    return { detail: "Browsers give the microphone only to pages on https or localhost.", hint };
  }
  if (name === "NotReadableError") {
    return { detail: "The microphone is in use by another program.", hint: "close that program, then try again" };
  }
  return { detail: "The recording could not begin.", hint: String(error) };
}
