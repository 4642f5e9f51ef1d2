/** The shape of a recording: a few peaks out of many samples. Knows nothing of how they are drawn. */

/**
 * The greatest absolute sample of each of `count` equal stretches, relative to the greatest of all.
 *
 * Returns `count` numbers in 0..1; all 0 for silence or no samples.
 */
export function peaks(samples: Float32Array, count: number): number[] {
  const found = Array.from({ length: count }, (_, index) => {
    const end = Math.floor(((index + 1) * samples.length) / count);
    let peak = 0;
    for (let i = Math.floor((index * samples.length) / count); i < end; i++) {
      peak = Math.max(peak, Math.abs(samples[i] as number));
    }
    return peak;
  });
  const greatest = Math.max(...found);
  return greatest > 0 ? found.map((peak) => peak / greatest) : found;
}

/** Decoding holds all samples in memory; longer recordings are shown without their shape. */
const MAX_DECODED_BYTES = 30 * 2 ** 20;
const SAMPLE_RATE_HZ = 8000;

/** Peaks of an audio file, or null where the browser cannot decode it or it is too large to try. */
export async function peaksOfFile(file: Blob, count: number): Promise<number[] | null> {
  if (file.size > MAX_DECODED_BYTES) return null;
  try {
    const context = new OfflineAudioContext(1, 1, SAMPLE_RATE_HZ);
    const audio = await context.decodeAudioData(await file.arrayBuffer());
    return peaks(audio.getChannelData(0), count);
  } catch {
    return null;
  }
}

/** The same of a sound at an address of the server. */
export async function peaksOfAddress(address: string, count: number): Promise<number[] | null> {
  try {
    const response = await fetch(address);
    return response.ok ? await peaksOfFile(await response.blob(), count) : null;
  } catch {
    return null;
  }
}
