// Runs in the audio thread: blocks of samples from the microphone become frames of 16-bit PCM with their level.

const FRAME_S = 0.05;

class MicrophoneProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(Math.round(sampleRate * FRAME_S));
    this.filled = 0;
    this.peak = 0;
  }

  process([channels]) {
    if (!channels || channels.length === 0) return true;
    const length = channels[0].length;
    for (let i = 0; i < length; i++) {
      let sample = 0;
      for (const channel of channels) sample += channel[i];
      sample = Math.max(-1, Math.min(1, sample / channels.length));
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.frame[this.filled++] = Math.round(sample * 32767);
      if (this.filled === this.frame.length) {
        const pcm = this.frame.slice().buffer;
        this.port.postMessage({ pcm, peak: this.peak }, [pcm]);
        this.filled = 0;
        this.peak = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", MicrophoneProcessor);
