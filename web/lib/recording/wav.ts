/** Frames of 16-bit mono PCM as a WAV file. */

const HEADER_BYTES = 44;

export function wavFile(frames: readonly ArrayBuffer[], sampleRateHz: number, name: string): File {
  const bytes = frames.reduce((total, frame) => total + frame.byteLength, 0);
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const text = (at: number, value: string) => {
    for (let i = 0; i < value.length; i++) header.setUint8(at + i, value.charCodeAt(i));
  };
  text(0, "RIFF");
  header.setUint32(4, HEADER_BYTES - 8 + bytes, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true); // of the format that follows
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channel
  header.setUint32(24, sampleRateHz, true);
  header.setUint32(28, sampleRateHz * 2, true); // bytes a second
  header.setUint16(32, 2, true); // bytes a sample
  header.setUint16(34, 16, true); // bits a sample
  text(36, "data");
  header.setUint32(40, bytes, true);
  return new File([header.buffer, ...frames], name, { type: "audio/wav" });
}
